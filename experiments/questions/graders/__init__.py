"""Graders: is an answer right?"""

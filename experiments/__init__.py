"""The command line, configs, data sets, gold answers, metrics, plots and reports."""

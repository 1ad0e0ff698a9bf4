"""Questions: data sets, prompts, gold answers, graders."""

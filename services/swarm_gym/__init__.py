"""reasoning-gym for worker and judge: questions from seeds, audited scoring, a pool of killable scorers."""

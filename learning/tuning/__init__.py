"""Recipe `fine-tune`: epochs that survive a kill, images that stream and are varied, a rate that is found."""

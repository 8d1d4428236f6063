"""What Tilewright knows: tiles, labels, training, inference, evaluation, jobs.

Nothing in here imports Streamlit or anything of ``pages``; ``models`` is the only package below it.
"""

"""Instructions written for `ifeval_ood_fresh`, in no published benchmark."""

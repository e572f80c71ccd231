"""Train nova-nano, the embedded SDXL-shaped model, from nothing but procedurally drawn pictures."""

"""Many at once: processes, connections and organizations, what each takes and what it waits for."""

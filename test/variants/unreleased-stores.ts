import type { UnreleasedChange, UnreleasedStore } from '../../services/broker/telemetry/unreleased.ts'

/** A store whose changes go through something. */
export function writingThrough(
  store: UnreleasedStore,
  write: (changes: readonly UnreleasedChange[]) => ReturnType<UnreleasedStore['write']>,
): UnreleasedStore {
  return {
    get isUp() {
      return store.isUp
    },
    resume: (clientId) => store.resume(clientId),
    forget: (clientId) => store.forget(clientId),
    write,
  }
}

/** Wrong: PUBREC leaves before its id is written down. A crash in between stores the message twice. */
export function earlyPubrec(store: UnreleasedStore): UnreleasedStore {
  return writingThrough(store, async (changes) => {
    void store.write(changes)
    return new Set()
  })
}

/** Wrong: what was released stays known. The next message under its id is taken for a repeat, and lost. */
export function swallowing(store: UnreleasedStore): UnreleasedStore {
  return writingThrough(store, (changes) => store.write(changes.filter(({ digest }) => digest !== undefined)))
}

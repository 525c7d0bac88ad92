import type { UnreleasedStore } from '../../services/broker/telemetry/unreleased.ts'
import type { UnreleasedChange } from '../../shared/sessions/port.ts'

/** A store whose changes go through something. */
export function writingThrough(
  store: UnreleasedStore,
  write: (changes: readonly UnreleasedChange[]) => ReturnType<UnreleasedStore['writeUnreleased']>,
): UnreleasedStore {
  return {
    get isUp() {
      return store.isUp
    },
    writeUnreleased: write,
  }
}

/** Wrong: PUBREC leaves before its id is written down. A crash in between stores the message twice. */
export function earlyPubrec(store: UnreleasedStore): UnreleasedStore {
  return writingThrough(store, async (changes) => {
    void store.writeUnreleased(changes)
    return new Set()
  })
}

/** Wrong: what was released stays known. The next message under its id is taken for a repeat, and lost. */
export function swallowing(store: UnreleasedStore): UnreleasedStore {
  return writingThrough(store, (changes) => store.writeUnreleased(changes.filter(({ digest }) => digest !== undefined)))
}

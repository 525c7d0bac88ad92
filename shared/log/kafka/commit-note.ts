/** What is noted beside a committed offset, in Kafka's `metadata` of it: by it a gap is told apart and dated. */
export interface CommitNote {
  /** Id of the topic that the offset is of. */
  readonly log?: string | undefined
  /** Receive time of the last record before the offset. */
  readonly ms?: number | undefined
  /** Where the partition ended then. */
  readonly end?: number | undefined
  /** See `Position.note`. */
  readonly note?: string | undefined
}

export function writeNote(note: CommitNote): string {
  return JSON.stringify(note)
}

/** Inverse of {@link writeNote}; empty for what an older Sluice, or somebody else, committed. */
export function readNote(text: string | null): CommitNote {
  const noted = parse(text ?? '')
  if (typeof noted !== 'object' || noted === null) return {}
  const { log, ms, end, note } = noted as Record<string, unknown>
  return {
    log: typeof log === 'string' ? log : undefined,
    ms: typeof ms === 'number' ? ms : undefined,
    end: typeof end === 'number' ? end : undefined,
    note: typeof note === 'string' ? note : undefined,
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // Anybody may commit anything there.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

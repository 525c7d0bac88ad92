import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { tempFolder } from '../helpers.ts'

/** Which syncs fail. */
export interface FailingSyncs {
  /** Beginning of the absolute paths of the files. */
  readonly below: string
  /** Counted over these files from the start of the process, from 1. */
  readonly from: number
  readonly to: number
}

/**
 * Environment in which these syncs of a process report an input/output error; the recording shows them as failed. Unlike
 * strace, which counts in each thread, it tells the files of one store from all others. Needs a C compiler.
 */
export function failingSyncs({ below, from, to }: FailingSyncs): Record<string, string> {
  const library = join(tempFolder(), 'failing-syncs.so')
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, join(import.meta.dirname, 'failing-syncs.c')])
  return {
    LD_PRELOAD: library,
    FAILING_SYNCS_BELOW: below,
    FAILING_SYNCS_FROM: String(from),
    FAILING_SYNCS_TO: String(to),
  }
}

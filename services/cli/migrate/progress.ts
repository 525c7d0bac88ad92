import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import type { LogTopic } from '../../../shared/log/port.ts'
import type { DeviceOfPoints } from '../../../shared/points/port.ts'
import { replaceFile } from '../../../shared/storage/replace-file.ts'

/** How far one topic has been copied. Numbers are offsets, by partition of the source or of the target. */
export interface TopicProgress {
  /** First record of the source that moves. */
  from: number[]
  /** Next record of the source; everything before it is durable in the target. */
  next: number[]
  /** Where the target ended before the first record went in. */
  readonly begin: readonly number[]
  /** Where the target ended behind the last append that is noted here. */
  marks: number[]
}

export interface PointsProgress {
  done: boolean
  /** The last device whose points are all written. */
  after?: DeviceOfPoints | undefined
  /** The one under way: its streams before this one, and of this one the points before the cursor, are written. */
  at?: (DeviceOfPoints & { readonly stream: string; readonly cursor: string }) | undefined
  moved: number
  rejected: number
}

/** What a migration knows about itself from one run to the next. */
export interface ProgressState {
  readonly version: 1
  /** Where everything goes, without secrets. */
  readonly target: string
  /** Name of the source's log in dead letters, so that their places are not taken for places in the target's. */
  readonly log: string
  readonly startedAt: string
  /** Changes when the source has run since: then rows and points are gone through again. */
  source: string
  tables: boolean
  points: PointsProgress
  topics: Partial<Record<LogTopic, TopicProgress>>
}

/** Waiting this long between two notes loses at most as much work in a crash; an fsync for each device would cost more. */
const SAVE_EVERY_MS = 500

/** The file in the source folder that a migration is continued from; written whole, durable when `save` returns. */
export class Progress {
  readonly state: ProgressState
  /** True when an earlier run left it. */
  readonly resumed: boolean
  readonly #file: string
  #savedMs = -Infinity

  private constructor(file: string, state: ProgressState, resumed: boolean) {
    this.#file = file
    this.state = state
    this.resumed = resumed
  }

  /**
   * Continues what the file says, or begins. Errors: `command_failed` when it went elsewhere, or is no such file;
   * `data_unwritable`.
   */
  static open(file: string, target: string, source: string): Progress {
    const known = read(file)
    if (known === undefined) return new Progress(file, newState(target, source), false)
    if (known.target !== target) {
      const message = `${file} belongs to a migration to ${known.target}, but the settings name ${target}: correct them, or remove the file to start over`
      throw new SluiceError('command_failed', message)
    }
    if (known.source !== source) {
      known.source = source
      known.tables = false
      known.points = newPoints()
    }
    return new Progress(file, known, true)
  }

  /** Error: `data_unwritable`. */
  save(): void {
    try {
      replaceFile(this.#file, `${JSON.stringify(this.state)}\n`, 0o600)
    } catch (error) {
      throw new SluiceError('data_unwritable', `${this.#file}: ${toSluiceError(error).message}`, { cause: error })
    }
    this.#savedMs = performance.now()
  }

  /** Saves when the last time is long enough ago. */
  saveNowAndThen(): void {
    if (performance.now() - this.#savedMs > SAVE_EVERY_MS) this.save()
  }
}

function newState(target: string, source: string): ProgressState {
  return {
    version: 1,
    target,
    log: `standalone-${randomBytes(4).toString('hex')}`,
    startedAt: new Date().toISOString(),
    source,
    tables: false,
    points: newPoints(),
    topics: {},
  }
}

function newPoints(): PointsProgress {
  return { done: false, moved: 0, rejected: 0 }
}

function read(file: string): ProgressState | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new SluiceError('data_unwritable', `${file}: ${toSluiceError(error).message}`, { cause: error })
  }
  try {
    const state = JSON.parse(text) as ProgressState // our own text: it is replaced whole or not at all
    if (state.version === 1) return state
  } catch (error) {
    throw new SluiceError('command_failed', `${file} is not the progress file of a migration; remove it`, {
      cause: error,
    })
  }
  throw new SluiceError(
    'command_failed',
    `${file} was written by another version; finish with that version, or remove the file`,
  )
}

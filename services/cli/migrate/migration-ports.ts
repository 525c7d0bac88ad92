import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import type { RegistryTables } from '../../../shared/registry/tables-port.ts'

/** One deployment, as a migration sees it. */
export interface MigrationPorts {
  readonly log: TelemetryLog
  readonly points: PointStore
  readonly tables: RegistryTables
}

/** What every step of a migration is given. */
export interface Step {
  readonly source: MigrationPorts
  readonly target: MigrationPorts
  /** Aborted when somebody presses Ctrl-C: stop at the next batch; another run goes on there. */
  readonly signal: AbortSignal
  /** Told how far it is, often. */
  readonly onProgress: (text: () => string) => void
}

/** One kind of thing on both sides, compared. */
export interface Comparison {
  readonly what: string
  readonly source: Total
  readonly target: Total
}

export interface Total {
  readonly count: number
  /** SHA-256 over everything in a defined order, base64url. */
  readonly checksum: string
}

/** Differences that are shown one by one. */
const SHOWN = 100

/** What differs: all of it counted, the first ones told. */
export class Differences {
  readonly shown: string[] = []
  total = 0

  add(text: string): void {
    this.total += 1
    if (this.shown.length < SHOWN) this.shown.push(text)
  }
}

import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { Metrics } from '../../shared/process/metrics.ts'

/** What the broker relies on between its parts and cannot express in types; each is checked where it would break. */
const INVARIANTS = {
  /** Acknowledgements of one client are written before those of another are gathered. */
  packets_of_one_client: 'packets of one client were still in the buffer when another one wrote; they are dropped',
  /** A session begins only for a connection that is open. */
  open_at_login: 'a session was about to begin for a connection that is closed',
} as const

export type Invariant = keyof typeof INVARIANTS

/** Reports invariants that do not hold: a defect of the broker, or an aedes that works differently. */
export class Invariants {
  readonly #logger: Logger
  readonly #broken: Counter<'invariant'>

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger
    this.#broken = new Counter({
      name: 'sluice_broker_invariants_broken_total',
      help: 'Defects that the broker found in itself; the connections concerned were closed',
      labelNames: ['invariant'],
      registers: [metrics],
    })
    for (const invariant of Object.keys(INVARIANTS)) this.#broken.inc({ invariant }, 0)
  }

  /** Counts and logs it; returns the error (`internal`) with which the connection is to be closed. */
  broken(invariant: Invariant, who?: string): SluiceError {
    this.#broken.inc({ invariant })
    const error = new SluiceError('internal', INVARIANTS[invariant])
    this.#logger.error({ code: error.code, invariant, who, err: error }, 'an invariant does not hold')
    return error
  }
}

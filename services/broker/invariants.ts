import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { Metrics } from '../../shared/process/metrics.ts'

/** What the broker relies on between its parts and cannot express in types; each is checked where it would break. */
const INVARIANTS = {
  /** Acknowledgements of one client are written before those of another are gathered. */
  packets_of_one_client: 'packets of one client were still in the buffer when another client wrote; they were dropped',
  /** A session begins only for a connection that is open. */
  open_at_login: 'a session was about to start on a closed connection',
  /** aedes reads the packets that it was given one by one and in their order. */
  aedes_packet_order: 'aedes read a packet other than the next one',
  /** aedes writes the very Buffer that it was given as a payload. */
  payload_identity: 'a message lost its MQTT 5 properties on its way through aedes',
  /** aedes asks whether a message may be forwarded in the turn in which it is handed out. */
  forward_in_turn: 'aedes asked about a message after the turn in which it was handed out',
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
      help: 'Broken internal invariants; the connections affected were closed',
      labelNames: ['invariant'],
      registers: [metrics],
    })
    for (const invariant of Object.keys(INVARIANTS)) this.#broken.inc({ invariant }, 0)
  }

  /** Counts and logs it; returns the error (`internal`) with which the connection is to be closed. */
  broken(invariant: Invariant, who?: string): SluiceError {
    this.#broken.inc({ invariant })
    const error = new SluiceError('internal', INVARIANTS[invariant])
    this.#logger.error({ code: error.code, invariant, who, err: error }, 'an internal invariant is broken')
    return error
  }
}

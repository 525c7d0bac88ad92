import mqemitter from 'mqemitter'
import { parseTelemetryTopic } from '../../../shared/topics.ts'

type Listener = (packet: mqemitter.Message, done: () => void) => void
type Done = (error?: Error) => void

/** `brokerId` of a message that Redis has a number for, which is its `brokerCounter`. */
export const STORED = 'stored'

/** The same of one that is kept for a member of a group, whose session need not be persistent. */
export const SHARED = 'shared'

/** The same of one that is stored and goes out with its retain flag, which is hidden from aedes meanwhile. */
export const STORED_RETAINED = 'stored retained'

/** `brokerId` of a message that was handed out here: aedes counts its repetitions by it. */
export const EMITTED = 'emitted'

/** Under what a message is stored, and what became of it. */
export interface Identity {
  readonly brokerId: string | undefined
  readonly brokerCounter: number
  /** Devices that it was handed to. */
  receivers: number
}

/** A message that Redis keeps under the number. */
export function storedAs(number: number): Identity {
  return { brokerId: STORED, brokerCounter: number, receivers: 0 }
}

/** A message that a member of a group has under the number. */
export function sharedAs(number: number): Identity {
  return { brokerId: SHARED, brokerCounter: number, receivers: 0 }
}

/**
 * What aedes publishes into and subscribes at. Subscribers of this node are served from memory; what other nodes need
 * is sent before (`STORED`) or, at QoS 0, by `onQos0`.
 *
 * aedes drops a message to a client as a repetition unless its counter is higher than that of the last one from the
 * same broker, although a later message may overtake one that is still being stored. So messages are counted here, in
 * the order in which they are handed out; under what one is stored is in `identity` meanwhile.
 */
export class SessionEmitter {
  /** Of the message that is being handed out: aedes asks `authorizeForward` in the same turn. */
  identity: Identity | undefined
  readonly #local = mqemitter({ concurrency: 0, matchEmptyLevels: true })
  readonly #onQos0: (packet: mqemitter.Message) => void
  #count = 0

  constructor(onQos0: (packet: mqemitter.Message) => void = () => undefined) {
    this.#onQos0 = onQos0
  }

  on(topic: string, listener: Listener, done?: () => void): this {
    this.#local.on(topic, listener, done)
    return this
  }

  removeListener(topic: string, listener: Listener, done?: () => void): this {
    this.#local.removeListener(topic, listener, done)
    return this
  }

  /** Called by aedes. */
  emit(packet: mqemitter.Message, done: Done = () => undefined): this {
    // What aedes tells other nodes of itself is told by other means here.
    if (packet.topic.startsWith('$SYS/')) {
      setImmediate(done)
      return this
    }
    const brokerId = String(packet['brokerId'])
    if (brokerId !== STORED && parseTelemetryTopic(packet.topic) === undefined) this.#onQos0(packet)
    return this.deliver(packet, { brokerId, brokerCounter: Number(packet['brokerCounter']), receivers: 0 }, done)
  }

  /** To the subscribers on this node; `done` when it is written to each of them. */
  deliver(packet: mqemitter.Message, identity: Identity, done: Done): this {
    this.within(identity, () => {
      this.#local.emit({ ...packet, brokerId: EMITTED, brokerCounter: (this.#count += 1) }, done)
    })
    return this
  }

  /** Runs something that hands out one message. */
  within(identity: Identity, work: () => void): void {
    const outer = this.identity
    this.identity = identity
    try {
      work()
    } finally {
      this.identity = outer
    }
  }

  close(done: () => void): this {
    this.#local.close(done)
    return this
  }
}

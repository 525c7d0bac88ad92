import { SluiceError } from '../../../shared/errors.ts'
import type { Mesh } from '../../../shared/mesh/mesh.ts'
import { ownerOfTopic } from '../../../shared/sessions/client-id.ts'
import type { Sent } from '../../../shared/sessions/port.ts'
import { encodeMessage, type Message } from '../../../shared/sessions/message.ts'
import type { Peers } from './peers.ts'
import { PUBLISH } from './publish-script.ts'
import type { StoredSubscriptions } from './stored-subscriptions.ts'

/** The list of subscriptions may change while we read it; a storm of changes ends. */
const MAX_TRIES = 10

export interface SentToNodes extends Sent {
  /** Live sessions of the device whose topic it is, and those of them on this node. */
  readonly live: number
  readonly liveHere: number
}

/** Sends messages to the nodes and sessions that want them: one command for each message. */
export class Outbound {
  readonly #mesh: Mesh
  readonly #peers: Peers
  readonly #stored: StoredSubscriptions

  constructor(mesh: Mesh, peers: Peers, stored: StoredSubscriptions) {
    this.#mesh = mesh
    this.#peers = peers
    this.#stored = stored
  }

  /**
   * Resolves when a message of QoS 1 or 2 is stored for every persistent session that wants it, and for one member of each
   * group, and is on its way to the other nodes. Subscribers on this node are the caller's. Error: `redis_unavailable`.
   */
  async send(message: Message): Promise<SentToNodes> {
    const { topic, qos } = message
    const bytes = encodeMessage(message)
    const owner = ownerOfTopic(topic)
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const sessions = qos > 0 ? this.#stored.sessionsFor(topic) : []
      const groups = qos > 0 ? this.#stored.groupsFor(topic) : []
      const nodes = this.#peers.nodesFor(topic)
      if (qos === 0 && owner === '' && nodes.length === 0) return NOBODY
      const { version } = this.#stored
      const fixed = [this.#mesh.id, owner, topic, qos, version, bytes, sessions.length, groups.length]
      const answer = await this.#mesh.link.eval(PUBLISH, ...fixed, ...sessions, ...groups, ...nodes)
      const [number = -1, stored = 0, full = 0, live = 0, liveHere = 0] = Array.isArray(answer)
        ? answer.map(Number)
        : []
      if (number >= 0) return { number, stored, full, live, liveHere }
      await this.#stored.load()
    }
    throw new SluiceError('redis_unavailable', 'the stored subscriptions change faster than they can be read')
  }
}

const NOBODY: SentToNodes = { number: 0, stored: 0, full: 0, live: 0, liveHere: 0 }

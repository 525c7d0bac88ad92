import type { CommandResult } from '../../../shared/commands.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { ownerOfTopic } from '../../../shared/sessions/client-id.ts'
import { decodeMessage, encodeMessage, type Message } from '../../../shared/sessions/message.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Relay } from './relay.ts'
import type { Sharing } from './sharing.ts'

/** The other node tries its own way within this, or the command is stored from here. */
const COMMAND_MS = 3_000
/** Sessions that are looked at together. */
const CHUNK = 500

/** What a {@link Relay} does besides where there are other nodes. */
export class ClusterRelay {
  readonly #cluster: Cluster
  readonly #sharing: Sharing
  readonly #relay: Relay

  constructor(cluster: Cluster, sharing: Sharing, relay: Relay) {
    this.#cluster = cluster
    this.#sharing = sharing
    this.#relay = relay
    cluster.mesh.onQuestion('command', async (body) => Buffer.from(await this.publishCommand(decodeMessage(body))))
  }

  /** As {@link Relay.publishCommand}, on the node that holds the device. Error: `redis_unavailable`. */
  async publishCommand(command: Message): Promise<CommandResult> {
    const { mesh } = this.#cluster
    const node = await this.#nodeOf(ownerOfTopic(command.topic))
    if (node === undefined || node === mesh.id) return this.#relay.publishCommand(command)
    try {
      const answer = (await mesh.ask(node, 'command', encodeMessage(command), COMMAND_MS)).toString()
      return answer === 'delivered' || answer === 'queued' ? answer : 'no_session'
    } catch (error) {
      if (toSluiceError(error).code !== 'node_unreachable') throw error
      return this.#relay.publishCommand(command)
    }
  }

  /** Hands out what sessions here hold and were not given. Error: `redis_unavailable`. */
  async redeliver(): Promise<void> {
    const { fence, mesh } = this.#cluster
    const leases = [...fence.leases()].filter(({ clean, shares }) => !clean || shares.size > 0)
    for (let from = 0; from < leases.length; from += CHUNK) {
      const part = leases.slice(from, from + CHUNK)
      const lengths = await mesh.link.run((redis) =>
        Promise.all(part.map(({ clientId }) => redis.hlen(`sluice:queue:${clientId}`))),
      )
      for (const [index, lease] of part.entries()) {
        const length = lengths[index] ?? 0
        // Of one that is not persistent only messages of groups are kept.
        const isGiven = lease.clean ? length === 0 : length <= lease.sent.size
        if (!isGiven) await this.#sharing.handOut(lease)
      }
    }
  }

  /** This node when it holds a session of the device, else another that does. */
  async #nodeOf(device: string): Promise<string | undefined> {
    const { mesh } = this.#cluster
    const records = await mesh.link.run((redis) => redis.hvals(`sluice:sessions:${device}`))
    const nodes = records.map((record) => record.split(' ')[2] ?? '').filter((node) => node !== '')
    return nodes.includes(mesh.id) ? mesh.id : nodes[0]
  }
}

import type { CommandResult } from '../../../shared/commands.ts'
import { toSluiceError } from '../../../shared/errors.ts'
import { ownerOfTopic } from '../../../shared/sessions/client-id.ts'
import { decodeMessage, encodeMessage, propertiesOf, type Message } from '../../../shared/sessions/message.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { readQueue } from '../cluster/stored-queue.ts'
import type { AedesInternals } from './aedes-internals.ts'
import type { Relay } from './relay.ts'
import { storedAs, type SessionEmitter } from './session-emitter.ts'

/** aedes' client, as far as a stored message is handed out to it. */
type DeliverTo = (clientId: string) => Pick<AedesInternals, 'deliverQoS'> | undefined

/** The other node tries its own way within this, or the command is stored from here. */
const COMMAND_MS = 3_000
/** Sessions that are looked at together. */
const CHUNK = 500

/** What a {@link Relay} does besides where there are other nodes. */
export class ClusterRelay {
  readonly #cluster: Cluster
  readonly #emitter: SessionEmitter
  readonly #relay: Relay

  constructor(cluster: Cluster, emitter: SessionEmitter, relay: Relay) {
    this.#cluster = cluster
    this.#emitter = emitter
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

  /** Hands out what persistent sessions here hold and were not given. Error: `redis_unavailable`. */
  async redeliver(clientOf: DeliverTo): Promise<void> {
    const { fence, mesh } = this.#cluster
    const leases = [...fence.leases()].filter(({ clean }) => !clean)
    for (let from = 0; from < leases.length; from += CHUNK) {
      const part = leases.slice(from, from + CHUNK)
      const lengths = await mesh.link.run((redis) =>
        Promise.all(part.map(({ clientId }) => redis.hlen(`sluice:queue:${clientId}`))),
      )
      for (const [index, { clientId, sent }] of part.entries()) {
        if ((lengths[index] ?? 0) <= sent.size) continue
        for await (const { number, messageId, message } of readQueue(mesh.link, clientId, new Set(sent.values()))) {
          if (messageId !== undefined) continue
          const { topic, payload, qos } = message
          // Without a broker's id aedes takes it for no repetition.
          const fields = { cmd: 'publish', topic, payload, qos, retain: false, dup: false, ...propertiesOf(message) }
          const packet = { ...fields, brokerId: undefined }
          this.#emitter.within(storedAs(Number(number)), () => clientOf(clientId)?.deliverQoS(packet, () => undefined))
        }
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

import type { PublishPacket } from 'aedes'
import {
  COMMAND_QUESTION,
  commandTopic,
  decodeCommand,
  type CommandResult,
  type DeviceCommand,
} from '../../../shared/commands.ts'
import { matches } from '../../../shared/topic-filter.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { ClusterRelay } from './cluster-relay.ts'
import type { AedesInternals, Persistence } from './aedes-internals.ts'
import { withProperties } from './payload-properties.ts'

/** aedes, as far as a command needs it. */
export interface CommandTarget {
  readonly clients: Readonly<Record<string, Pick<AedesInternals, 'subscriptions'>>>
  readonly persistence: Pick<Persistence, 'subscriptionsByTopic'>
  publish(packet: PublishPacket, done: (error?: Error) => void): void
}

export type SendCommand = (command: DeviceCommand) => Promise<CommandResult>

/** How commands are sent on this node, which others ask for it too. */
export function createCommands(
  aedes: CommandTarget,
  relay: ClusterRelay | undefined,
  cluster: Cluster | undefined,
): SendCommand {
  if (relay === undefined || cluster === undefined) return (command) => sendHere(aedes, command)
  const send: SendCommand = (command) => {
    const { qos, expiresMs } = command
    return relay.publishCommand({
      topic: commandTopic(command),
      payload: bytesOf(command),
      qos,
      retain: false,
      expiresMs,
    })
  }
  cluster.mesh.onQuestion(COMMAND_QUESTION, async (body) => Buffer.from(await send(decodeCommand(body))))
  return send
}

async function sendHere(aedes: CommandTarget, command: DeviceCommand): Promise<CommandResult> {
  const topic = commandTopic(command)
  const { qos, expiresMs } = command
  const prefix = `${deviceKey(command.tenant, command.device)}/`
  const isLive = Object.entries(aedes.clients).some(
    ([id, { subscriptions }]) => id.startsWith(prefix) && Object.keys(subscriptions).some((it) => matches(it, topic)),
  )
  const stored = qos === 0 ? [] : await aedes.persistence.subscriptionsByTopic(topic)
  const packet: PublishPacket = { cmd: 'publish', topic, payload: bytesOf(command), qos, retain: false, dup: false }
  if (expiresMs !== undefined) withProperties(packet).properties = { bytes: Buffer.alloc(0), expiresAt: expiresMs }
  await new Promise<void>((resolve, reject) => aedes.publish(packet, (error) => (error ? reject(error) : resolve())))
  if (isLive) return 'delivered'
  return stored.some(({ clientId }) => clientId.startsWith(prefix)) ? 'queued' : 'no_session'
}

function bytesOf({ payload }: DeviceCommand): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}

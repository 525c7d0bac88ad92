import {
  COMMAND_QUESTION,
  commandTopic,
  decodeCommand,
  type CommandResult,
  type DeviceCommand,
} from '../../../shared/commands.ts'
import type { Message } from '../../../shared/sessions/message.ts'
import type { Cluster } from '../cluster/cluster.ts'

export type SendCommand = (command: DeviceCommand) => Promise<CommandResult>

/** How commands are sent on this node, which others ask for it too. */
export function createCommands(
  relay: { publishCommand(command: Message): Promise<CommandResult> },
  cluster: Cluster | undefined,
): SendCommand {
  const send: SendCommand = (command) => {
    const { qos, expiresMs } = command
    return relay.publishCommand({
      topic: commandTopic(command),
      payload: bytesOf(command),
      qos,
      retain: false,
      expiresMs,
      ...(expiresMs !== undefined && { properties: { bytes: Buffer.alloc(0), expiresAt: expiresMs } }),
    })
  }
  cluster?.mesh.onQuestion(COMMAND_QUESTION, async (body) => Buffer.from(await send(decodeCommand(body))))
  return send
}

function bytesOf({ payload }: DeviceCommand): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}

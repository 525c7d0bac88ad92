import type { NodeRecord } from './mesh/node-list.ts'
import { MAX_NAME_BYTES } from './names.ts'
import { isTopicName } from './topic-filter.ts'
import { topicOfDevice } from './topics.ts'

/** What became of a command: written to a live session, kept by one that is away, or nobody has asked for it. */
export type CommandResult = 'delivered' | 'queued' | 'no_session'

/** A message for one device, below its `cmd`. */
export interface DeviceCommand {
  readonly tenant: string
  readonly device: string
  /** What follows `cmd/` in the topic. */
  readonly name: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1 | 2
  /** Not delivered after this; whole milliseconds since 1970. */
  readonly expiresMs: number | undefined
}

/** The broker nodes, as the API sees them. */
export interface BrokerNodes {
  /** The nodes that live, by name. Error: `redis_unavailable`. */
  list(): Promise<readonly NodeRecord[]>
  /** Publishes a command. Errors: `redis_unavailable`, `node_unreachable`: it may have been published then. */
  send(command: DeviceCommand): Promise<CommandResult>
  /**
   * When sessions that are connected were last heard, in ms since 1970, to the second; null for one that has ended, or whose
   * node does not answer. Never rejects.
   */
  heard(sessions: readonly SessionOnNode[]): Promise<(number | null)[]>
}

/** A session of a device, and the node that holds it. */
export interface SessionName {
  readonly tenant: string
  readonly device: string
  readonly clientId: string
}
export interface SessionOnNode extends SessionName {
  readonly node: string
}

/** The name of the question with which the API asks a node when sessions were last heard. */
export const HEARD_QUESTION = 'heard'

export function commandTopic({ tenant, device, name }: Pick<DeviceCommand, 'tenant' | 'device' | 'name'>): string {
  return `${topicOfDevice(tenant, device)}/cmd/${name}`
}

/** Every byte of the device is encoded. */
const LONGEST = { tenant: 'x'.repeat(64), device: '/'.repeat(MAX_NAME_BYTES) }

/** True for what may follow `cmd/` of the device with the longest names. */
export function isCommandName(name: string): boolean {
  return name !== '' && isTopicName(commandTopic({ ...LONGEST, name }))
}

/** The name of the question with which the API asks a node to send a command. */
export const COMMAND_QUESTION = 'device-command'

/** A line of JSON, then the payload as it is. */
export function encodeCommand({ payload, ...head }: DeviceCommand): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), payload])
}

/** Inverse of {@link encodeCommand}, which wrote the bytes. */
export function decodeCommand(bytes: Buffer): DeviceCommand {
  const end = bytes.indexOf(0x0a)
  const head = JSON.parse(bytes.toString('utf8', 0, end)) as Omit<DeviceCommand, 'payload'>
  return { ...head, expiresMs: head.expiresMs, payload: bytes.subarray(end + 1) }
}

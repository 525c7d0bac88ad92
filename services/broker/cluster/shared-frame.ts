import { Frame, splitLine } from '../../../shared/mesh/mesh.ts'
import { decodeMessage, encodeMessage } from '../../../shared/sessions/message.ts'
import type { SharedMessage } from '../../../shared/sessions/port.ts'

/** What a frame begins with, as scripts write it too: client id, share, number and QoS of the message that follows. */
interface Head {
  readonly c: string
  readonly s: string
  readonly n: number
  readonly q: 0 | 1 | 2
}

export function encodeShared({ clientId: c, share: s, number: n, message }: SharedMessage): Buffer {
  const head: Head = { c, s, n, q: message.qos }
  const line = `${String.fromCharCode(Frame.shared)}${JSON.stringify(head)}\n`
  return Buffer.concat([Buffer.from(line), encodeMessage(message)])
}

/** Throws when the frame is none. */
export function decodeShared(frame: Buffer): SharedMessage {
  const [line, body] = splitLine(frame)
  const { c: clientId, s: share, n: number, q: qos } = JSON.parse(line.slice(1)) as Head // nodes alone write frames
  return { clientId, share, number, message: { ...decodeMessage(body), qos } }
}

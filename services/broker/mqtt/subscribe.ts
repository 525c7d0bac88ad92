import { isShare, isShareForm, isSubscription } from '../../../shared/shared-subscription.ts'
import type { FrameReader } from './frame-reader.ts'
import { ALLOWED, Property, type PropertyReader } from './v5/properties.ts'
import { Reason } from './v5/reason.ts'
import { readPacketId, readText, Violation } from './packets.ts'

/** One filter of a SUBSCRIBE. */
export interface RequestedFilter {
  readonly filter: string
  readonly qos: number
  /** What only MQTT 5 can ask for; 3.1.1 means `false`, `false` and 0. */
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: number
  /** Why it is refused before rights are looked up. */
  readonly obstacle: 'unsupported' | 'shared' | 'identifier' | 'quota' | undefined
}

export interface SubscribePacket {
  readonly id: number
  readonly filters: readonly RequestedFilter[]
}

export interface UnsubscribePacket {
  readonly id: number
  readonly filters: readonly string[]
}

/** `+` and `#` share their level, or `#` is not the last. */
const BAD_WILDCARD = /[^/][+#]|\+[^/]|#[^]/

/** Reads a SUBSCRIBE; with a reader of properties, one of MQTT 5. Throws {@link Violation}. */
export function parseSubscribe(frame: FrameReader, properties?: PropertyReader): SubscribePacket {
  if (frame.header !== 0x82) throw new Violation('SUBSCRIBE needs the flags 0010 [MQTT-3.8.1-1]')
  const { buffer, body, end } = frame
  let position = readPacketId(frame, 'SUBSCRIBE')
  let hasIdentifier = false
  if (properties !== undefined) {
    position = passProperties(properties, frame, position, ALLOWED.subscribe, (id) => {
      hasIdentifier ||= id === Property.subscriptionId
    })
  }
  const filters: RequestedFilter[] = []
  while (position < end) {
    const { text, next } = readFilter(frame, position)
    const options = buffer[next]
    if (next >= end || options === undefined) throw new Violation('SUBSCRIBE ends after a filter [MQTT-3.8.3-1]')
    filters.push(properties === undefined ? requested(text, options) : requested5(text, options, hasIdentifier))
    position = next + 1
  }
  if (filters.length === 0) throw new Violation('SUBSCRIBE without a filter [MQTT-3.8.3-3]', Reason.protocolError)
  return { id: buffer.readUInt16BE(body), filters }
}

/** Reads an UNSUBSCRIBE; with a reader of properties, one of MQTT 5. Throws {@link Violation}. */
export function parseUnsubscribe(frame: FrameReader, properties?: PropertyReader): UnsubscribePacket {
  if (frame.header !== 0xa2) throw new Violation('UNSUBSCRIBE needs the flags 0010 [MQTT-3.10.1-1]')
  let position = readPacketId(frame, 'UNSUBSCRIBE')
  if (properties !== undefined) position = passProperties(properties, frame, position, ALLOWED.unsubscribe)
  const filters: string[] = []
  while (position < frame.end) {
    const { text, next } = readFilter(frame, position)
    filters.push(text)
    position = next
  }
  if (filters.length === 0) throw new Violation('UNSUBSCRIBE without a filter [MQTT-3.10.3-2]', Reason.protocolError)
  return { id: frame.buffer.readUInt16BE(frame.body), filters }
}

/** Checks the properties and tells which there are; returns where they end. */
function passProperties(
  properties: PropertyReader,
  { buffer, end }: FrameReader,
  position: number,
  allowed: ReadonlySet<number>,
  note: (id: number) => void = () => undefined,
): number {
  const next = properties.open(buffer, position, end, allowed)
  while (properties.next()) note(properties.id)
  return next
}

/** A filter that breaks the grammar closes the connection [MQTT-4.8.0-1]; one that we do not take is answered. */
function readFilter({ buffer, end }: FrameReader, position: number): { text: string; next: number } {
  const filter = readText(buffer, position, end, 'topic filter')
  if (filter.text === '') throw new Violation('an empty topic filter [MQTT-4.7.3-1]')
  if (BAD_WILDCARD.test(filter.text)) {
    const shown = JSON.stringify(filter.text.slice(0, 100))
    throw new Violation(`a wildcard that is not alone in its level, or not the last: ${shown} [MQTT-4.7.1-2, 4.7.1-3]`)
  }
  return filter
}

function requested(filter: string, options: number): RequestedFilter {
  if (options > 2) throw new Violation('SUBSCRIBE requests an invalid QoS [MQTT-3-8.3-4]')
  const obstacle = isSubscription(filter) ? undefined : 'unsupported'
  return { filter, qos: options, noLocal: false, retainAsPublished: false, retainHandling: 0, obstacle }
}

function requested5(filter: string, options: number, hasIdentifier: boolean): RequestedFilter {
  const qos = options & 3
  const noLocal = (options & 4) !== 0
  const retainHandling = (options >> 4) & 3
  if ((options & 0xc0) !== 0) throw new Violation('SUBSCRIBE sets reserved bits [MQTT-3.8.3-5]')
  if (qos === 3) throw new Violation('SUBSCRIBE requests QoS 3 [MQTT 5.0, 3.8.3.1]', Reason.protocolError)
  if (retainHandling === 3) {
    throw new Violation('SUBSCRIBE requests Retain Handling 3 [MQTT 5.0, 3.8.3.1]', Reason.protocolError)
  }
  if (isShare(filter)) checkShare(filter, noLocal)
  const own = isSubscription(filter) ? undefined : 'unsupported'
  const obstacle = own ?? (hasIdentifier ? 'identifier' : undefined)
  return { filter, qos, noLocal, retainAsPublished: (options & 8) !== 0, retainHandling, obstacle }
}

/** [MQTT-4.8.2-1, 4.8.2-2, 3.8.3-4] */
function checkShare(filter: string, noLocal: boolean): void {
  if (!isShareForm(filter)) {
    throw new Violation(
      'a shared subscription needs a ShareName and a topic filter [MQTT-4.8.2-1]',
      Reason.protocolError,
    )
  }
  if (noLocal) throw new Violation('No Local in a shared subscription [MQTT-3.8.3-4]', Reason.protocolError)
}

import { isTopicName } from '../../../../shared/topic-filter.ts'
import type { MessageProperties } from '../../../../shared/mqtt/message-properties.ts'
import { Violation } from '../packets.ts'
import { Property, type PropertyReader } from './properties.ts'
import { Reason } from './reason.ts'

/** Mean nothing to a subscriber, or are counted on. */
const NOT_PASSED: ReadonlySet<number> = new Set([Property.topicAlias, Property.messageExpiry, Property.willDelay])

/** The properties of the opened reader that go to subscribers, in their order [MQTT-3.3.2-18]; undefined = none. */
export function keptProperties(reader: PropertyReader, buffer: Buffer, now: number): MessageProperties | undefined {
  const kept: Buffer[] = []
  let expiresAt: number | undefined
  while (reader.next()) {
    if (reader.id === Property.messageExpiry) expiresAt = now + reader.value * 1000
    else if (reader.id === Property.responseTopic) checkResponseTopic(reader.text())
    if (!NOT_PASSED.has(reader.id)) kept.push(buffer.subarray(reader.at, reader.end))
  }
  if (kept.length === 0 && expiresAt === undefined) return undefined
  return { bytes: Buffer.concat(kept), expiresAt }
}

/** [MQTT-3.3.2-14] */
export function checkResponseTopic(topic: string): void {
  if (!isTopicName(topic))
    throw new Violation('the Response Topic is not a topic name [MQTT-3.3.2-14]', Reason.protocolError)
}

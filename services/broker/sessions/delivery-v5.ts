import type { AedesStream, AedesPacket } from './aedes-stream.ts'
import type { AedesLane } from './aedes-lane.ts'
import type { Invariants } from '../invariants.ts'
import type { Tally } from '../metrics.ts'
import type { Delivery, PacketSink } from './delivery.ts'
import type { MessageProperties } from '../../../shared/mqtt/message-properties.ts'
import type { PropertiesByPayload } from './payload-properties.ts'
import { encodePacket, encodeText } from '../../../shared/mqtt/encoding.ts'
import { Header, Type } from '../mqtt/packets.ts'
import type { Mqtt5 } from '../mqtt/v5/protocol.ts'
import { numberProperty, withLength } from '../mqtt/v5/encode.ts'
import { Property } from '../mqtt/v5/properties.ts'

export interface DeliveryOptions {
  readonly protocol: Mqtt5
  readonly connack: () => Buffer
  readonly sink: PacketSink
  readonly lane: AedesLane
  readonly stream: Pick<AedesStream, 'deliver' | 'destroy' | 'owner'>
  readonly invariants: Pick<Invariants, 'broken'>
  readonly properties: PropertiesByPayload
  readonly tally: Tally
}

/** Messages that wait for acknowledgements; beyond it aedes is told to wait, and gives up after some seconds. */
const MAX_HELD_BYTES = 256 * 1024
/** Most clients name no number of their own, which means 65,535; none works off so many at once. */
const MAX_UNACKNOWLEDGED = 4_096
/** Topics that get an alias, if the client allows any: a device hears few. */
const MAX_ALIASES = 16

interface Message {
  readonly header: number
  readonly topic: Buffer
  /** 0 with QoS 0. */
  readonly id: number
  readonly payload: Buffer
  readonly properties: MessageProperties | undefined
}

/**
 * Packets of aedes for a client of MQTT 5: messages with their properties, never more of them than the client wants at
 * once [MQTT-3.3.4-9] and none that is longer than it takes [MQTT-3.1.2-24].
 */
export class Mqtt5Delivery implements Delivery {
  heldBytes = 0
  readonly #options: DeliveryOptions
  /** Ids of messages of QoS 1 and 2 that the client has not acknowledged for good. */
  readonly #unacknowledged = new Set<number>()
  readonly #held: Message[] = []
  readonly #aliases = new Map<string, number>()
  #taken: (() => void)[] = []
  /** Messages that aedes may forward and has not written yet, and those of them that have properties. */
  #expected = 0
  #expectedProperties = 0

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  expect(hasProperties: boolean): void {
    this.#expected += 1
    if (hasProperties) this.#expectedProperties += 1
  }

  forward(packets: readonly AedesPacket[], _bytes: Buffer, taken: () => void): void {
    const translated: Buffer[] = []
    for (const packet of packets) {
      const type = packet.header >> 4
      if (type === Type.publish) this.#take(this.#read(packet), translated)
      else if (type === Type.connack) translated.push(this.#options.connack())
      else translated.push(this.#options.lane.complete(packet))
    }
    if (this.#expected === 0 && this.#expectedProperties !== 0) return this.#lostProperties(taken)
    if (this.heldBytes > MAX_HELD_BYTES) {
      this.#taken.push(taken)
      this.#write(translated, () => undefined)
    } else {
      this.#write(translated, taken)
    }
  }

  delivered(id: number): void {
    if (!this.#unacknowledged.delete(id) || this.#held.length === 0) return
    const translated: Buffer[] = []
    while (this.#held.length > 0 && !this.#isFull) {
      const message = this.#held.shift()
      if (message === undefined) break
      this.heldBytes -= sizeOf(message)
      this.#send(message, translated)
    }
    this.#write(translated, () => undefined)
    if (this.heldBytes <= MAX_HELD_BYTES) for (const taken of this.#taken.splice(0)) taken()
  }

  #read(packet: AedesPacket): Message {
    const message = readMessage(packet, this.#options.properties)
    this.#expected -= 1
    if (message.properties !== undefined) this.#expectedProperties -= 1
    return message
  }

  /** All that was expected has come, but not all properties: what is not sent now, aedes sends again to the next connection. */
  #lostProperties(taken: () => void): void {
    this.#expectedProperties = 0
    const { stream, invariants } = this.#options
    stream.destroy(invariants.broken('payload_identity', stream.owner.principal.name))
    taken()
  }

  get #isFull(): boolean {
    return this.#unacknowledged.size >= Math.min(this.#options.protocol.client.receiveMaximum, MAX_UNACKNOWLEDGED)
  }

  #take(message: Message, translated: Buffer[]): void {
    // After those that wait, so that messages of one quality keep their order [MQTT-4.6.0-6].
    if (message.id > 0 && (this.#isFull || this.#held.length > 0)) {
      this.#held.push(message)
      this.heldBytes += sizeOf(message)
    } else {
      this.#send(message, translated)
    }
  }

  #send(message: Message, translated: Buffer[]): void {
    const packet = this.#encode(message)
    if (packet.length > this.#options.protocol.client.maximumPacketSize) {
      this.#options.tally.deliveriesTooLarge += 1
      this.#aliases.clear()
      // For aedes it has been sent and acknowledged [MQTT-3.1.2-25].
      if (message.id > 0)
        this.#options.stream.deliver(Buffer.from([Header.puback, 2, message.id >> 8, message.id & 0xff]))
      return
    }
    if (message.id > 0) this.#unacknowledged.add(message.id)
    translated.push(packet)
  }

  #encode({ header, topic, id, payload, properties }: Message): Buffer {
    const all: Buffer[] = []
    const alias = this.#aliasOf(topic)
    if (alias !== undefined) all.push(numberProperty(Property.topicAlias, 2, alias.number))
    if (properties !== undefined) {
      const { bytes, expiresAt } = properties
      if (expiresAt !== undefined) {
        const seconds = Math.max(0, Math.ceil((expiresAt - Date.now()) / 1000))
        all.push(numberProperty(Property.messageExpiry, 4, seconds))
      }
      all.push(bytes)
    }
    const name = encodeText(alias?.isKnown === true ? Buffer.alloc(0) : topic)
    const idBytes = id === 0 ? Buffer.alloc(0) : Buffer.from([id >> 8, id & 0xff])
    return encodePacket(header, name, idBytes, withLength(Buffer.concat(all)), payload)
  }

  /** First come, first served: the topics of a device do not change. */
  #aliasOf(topic: Buffer): { readonly number: number; readonly isKnown: boolean } | undefined {
    const most = Math.min(this.#options.protocol.client.topicAliasMaximum, MAX_ALIASES)
    if (most === 0) return undefined
    const name = topic.toString('latin1')
    const known = this.#aliases.get(name)
    if (known !== undefined) return { number: known, isKnown: true }
    if (this.#aliases.size >= most) return undefined
    this.#aliases.set(name, this.#aliases.size + 1)
    return { number: this.#aliases.size, isKnown: false }
  }

  #write(packets: readonly Buffer[], taken: () => void): void {
    if (packets.length === 0) return taken()
    this.#options.sink.forward(Buffer.concat(packets), taken)
  }
}

function readMessage({ header, bytes, body, payload }: AedesPacket, known: PropertiesByPayload): Message {
  const topicEnd = body + 2 + bytes.readUInt16BE(body)
  const hasId = ((header >> 1) & 3) > 0
  const id = hasId ? bytes.readUInt16BE(topicEnd) : 0
  const properties = payload === undefined ? undefined : known.find(payload)
  const start = hasId ? topicEnd + 2 : topicEnd
  return { header, topic: bytes.subarray(body + 2, topicEnd), id, payload: bytes.subarray(start), properties }
}

function sizeOf({ topic, payload, properties }: Message): number {
  return topic.length + payload.length + (properties?.bytes.length ?? 0)
}

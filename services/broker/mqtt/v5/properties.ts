import { isUtf8 } from 'node:buffer'
import { decodeText, Violation } from '../packets.ts'
import { Reason } from './reason.ts'

/** Identifiers of properties [MQTT 5.0, table 2-4]. */
export const Property = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionId: 0x0b,
  sessionExpiry: 0x11,
  assignedClientId: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelay: 0x18,
  requestResponseInformation: 0x19,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  user: 0x26,
  maximumPacketSize: 0x27,
  subscriptionIdsAvailable: 0x29,
  sharedAvailable: 0x2a,
} as const

type Kind = 'byte' | 'two' | 'four' | 'variable' | 'text' | 'binary' | 'pair'

const KINDS: readonly (Kind | undefined)[] = kinds({
  byte: [0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a],
  two: [0x13, 0x21, 0x22, 0x23],
  four: [0x02, 0x11, 0x18, 0x27],
  variable: [0x0b],
  text: [0x03, 0x08, 0x12, 0x15, 0x1a, 0x1c, 0x1f],
  binary: [0x09, 0x16],
  pair: [0x26],
})

function kinds(byKind: Record<Kind, readonly number[]>): readonly (Kind | undefined)[] {
  const table = new Array<Kind | undefined>(0x2b).fill(undefined)
  for (const [kind, ids] of Object.entries(byKind)) for (const id of ids) table[id] = kind as Kind
  return table
}

/** Properties that a client may send, by packet. */
export const ALLOWED = {
  connect: new Set([0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
  will: new Set([0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]),
  publish: new Set([0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26]),
  acknowledgement: new Set([0x1f, 0x26]),
  subscribe: new Set([0x0b, 0x26]),
  unsubscribe: new Set([0x26]),
  disconnect: new Set([0x11, 0x1c, 0x1f, 0x26]),
} as const satisfies Record<string, ReadonlySet<number>>

/** Those that are 0 or 1 and nothing else. */
const FLAGS: ReadonlySet<number> = new Set([0x01, 0x17, 0x19])
/** Those that must not be 0. */
const NOT_ZERO: ReadonlySet<number> = new Set([0x0b, 0x21, 0x27])

/**
 * Goes through the properties of one packet and checks each: known, allowed here, once, of its type. Reused for all
 * packets of a connection, so that it allocates nothing.
 */
export class PropertyReader {
  id = 0
  /** Of a number. */
  value = 0
  /** Where a text, binary value or pair stands, without its length; a pair with the lengths of both parts. */
  start = 0
  /** End of the value; a property stands from `at` to here. */
  end = 0
  at = 0
  #buffer: Buffer = Buffer.alloc(0)
  #limit = 0
  #allowed: ReadonlySet<number> = new Set()
  #seenLow = 0
  #seenHigh = 0

  /** Begins with the length at `position`; returns where the properties end. Throws {@link Violation}. */
  open(buffer: Buffer, position: number, end: number, allowed: ReadonlySet<number>): number {
    this.#buffer = buffer
    this.#limit = end
    this.end = position
    const length = this.#variable('properties')
    this.#limit = this.end + length
    if (this.#limit > end) throw new Violation('the properties are longer than the packet [MQTT 5.0, 2.2.2.1]')
    this.#allowed = allowed
    this.#seenLow = 0
    this.#seenHigh = 0
    return this.#limit
  }

  /** Moves to the next property; false when there is none. Throws {@link Violation}. */
  next(): boolean {
    if (this.end >= this.#limit) return false
    this.at = this.end
    const id = this.#variable('a property')
    const kind = KINDS[id]
    if (kind === undefined) throw new Violation(`unknown property ${id} [MQTT 5.0, 2.2.2.2]`)
    if (!this.#allowed.has(id)) throw new Violation(`property ${id} is not allowed in this packet [MQTT 5.0, 2.2.2.2]`)
    this.id = id
    this.#read(kind)
    if (id !== Property.user) this.#once(id)
    if ((FLAGS.has(id) && this.value > 1) || (NOT_ZERO.has(id) && this.value === 0)) {
      throw new Violation(`property ${id} has the value ${this.value} [MQTT 5.0, 2.2.2.2]`, Reason.protocolError)
    }
    return true
  }

  /** The text of a text property. */
  text(): string {
    return decodeText(this.#buffer, this.start, this.end, `property ${this.id}`)
  }

  #read(kind: Kind): void {
    switch (kind) {
      case 'byte':
        this.value = this.#number(1)
        return
      case 'two':
        this.value = this.#number(2)
        return
      case 'four':
        this.value = this.#number(4)
        return
      case 'variable':
        this.value = this.#variable('a property')
        return
      case 'binary':
        this.#field()
        return
      case 'text':
        this.#utf8()
        return
      case 'pair': {
        const start = this.end
        this.#utf8()
        this.#utf8()
        this.start = start
      }
    }
  }

  #number(bytes: number): number {
    if (this.end + bytes > this.#limit) throw new Violation(`property ${this.id} is truncated`)
    const value = this.#buffer.readUIntBE(this.end, bytes)
    this.end += bytes
    return value
  }

  #field(): void {
    const length = this.#number(2)
    this.start = this.end
    this.end += length
    if (this.end > this.#limit) throw new Violation(`property ${this.id} is longer than the properties`)
  }

  #utf8(): void {
    this.#field()
    const bytes = this.#buffer.subarray(this.start, this.end)
    if (!isUtf8(bytes)) throw new Violation(`property ${this.id} is not UTF-8 [MQTT-1.5.4-1]`)
    if (bytes.includes(0)) throw new Violation(`property ${this.id} contains U+0000 [MQTT-1.5.4-2]`)
  }

  #variable(what: string): number {
    let value = 0
    for (let index = 0; index < 4; index += 1) {
      if (this.end >= this.#limit) throw new Violation(`${what}: the length is truncated`)
      const byte = this.#buffer[this.end] ?? 0
      this.end += 1
      value += (byte & 0x7f) * 128 ** index
      if (byte < 128) {
        if (index > 0 && byte === 0)
          throw new Violation(`${what}: a Variable Byte Integer is longer than needed [MQTT-1.5.5-1]`)
        return value
      }
    }
    throw new Violation(`${what}: a Variable Byte Integer has more than four bytes [MQTT 5.0, 1.5.5]`)
  }

  #once(id: number): void {
    const bit = 1 << (id & 31)
    const seen = id < 32 ? this.#seenLow : this.#seenHigh
    if ((seen & bit) !== 0) {
      throw new Violation(`property ${id} appears twice [MQTT 5.0, 2.2.2.2]`, Reason.protocolError)
    }
    if (id < 32) this.#seenLow |= bit
    else this.#seenHigh |= bit
  }
}

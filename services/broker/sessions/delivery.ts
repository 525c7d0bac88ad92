import type { AedesPacket } from './aedes-stream.ts'
import type { AedesLane } from './aedes-lane.ts'
import { isAnswer } from './subscription-requests.ts'
import { Type } from '../mqtt/packets.ts'

/** The way of aedes' packets to one client, in the client's version of MQTT. */
export interface Delivery {
  /** Whole packets, alone and as they lie in `bytes`; `taken` is called when there is room for more. */
  forward(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void
  /** aedes may forward a message to the client, with properties of MQTT 5 or without; it comes as a packet later. */
  expect(hasProperties: boolean): void
  /** The client has acknowledged the message of this id for good. */
  delivered(id: number): void
  /** Bytes that wait for acknowledgements of the client. */
  readonly heldBytes: number
}

/** Where packets for one client go: its socket. */
export interface PacketSink {
  /** Whole packets; `taken` is called when there is room for more. */
  forward(packets: Buffer, taken: () => void): void
}

/** To a client of MQTT 3.1.1: as it is, but for the answers that aedes knows only in part. */
export class PlainDelivery implements Delivery {
  readonly heldBytes = 0
  readonly #sink: PacketSink
  readonly #lane: AedesLane
  readonly #connack: () => Buffer

  constructor(sink: PacketSink, lane: AedesLane, connack: () => Buffer) {
    this.#sink = sink
    this.#lane = lane
    this.#connack = connack
  }

  forward(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void {
    const isWhole = !packets.some(({ header }) => isAnswer(header >> 4) || isConnack(header))
    this.#sink.forward(isWhole ? bytes : Buffer.concat(packets.map((packet) => this.#complete(packet))), taken)
  }

  expect(): void {
    // It would not get properties.
  }

  delivered(): void {
    // Messages wait in aedes.
  }

  #complete(packet: AedesPacket): Buffer {
    return isConnack(packet.header) ? this.#connack() : this.#lane.complete(packet)
  }
}

function isConnack(header: number): boolean {
  return header >> 4 === Type.connack
}

import type { AedesPacket } from './aedes-end.ts'
import type { AedesLane } from './aedes-lane.ts'
import type { Outlet } from './outlet.ts'
import { isAnswer } from './subscription-requests.ts'

/** The way of aedes' packets to one client, in the client's version of MQTT. */
export interface Delivery {
  /** Whole packets, alone and as they lie in `bytes`; `taken` is called when there is room for more. */
  forward(packets: readonly AedesPacket[], bytes: Buffer, taken: () => void): void
  /** The client has acknowledged the message of this id for good. */
  delivered(id: number): void
  /** Bytes that wait for acknowledgements of the client. */
  readonly heldBytes: number
}

/** To a client of MQTT 3.1.1: as it is, but for the answers that aedes knows only in part. */
export function plainDelivery(outlet: Outlet, lane: AedesLane): Delivery {
  return {
    heldBytes: 0,
    forward(packets, bytes, taken) {
      const isWhole = !packets.some(({ header }) => isAnswer(header >> 4))
      outlet.forward(isWhole ? bytes : Buffer.concat(packets.map((packet) => lane.complete(packet))), taken)
    },
    delivered: () => undefined,
  }
}

import type { BrokerSettings } from '../../../config/broker.ts'
import type { ReceiveClock } from '../../../shared/stamps/receive-clock.ts'
import type { Lease } from '../../../shared/sessions/port.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import type { Authorizer } from '../access/authorize.ts'
import type { NewDevices } from '../access/new-devices.ts'
import type { LimitReports } from '../access/limit-reports.ts'
import type { Allowance } from '../../../shared/rates.ts'
import type { Tally } from '../metrics.ts'
import type { PacketOutput } from '../mqtt/packet-buffer.ts'
import type { Protocol } from '../mqtt/protocol.ts'
import type { Backpressure } from './backpressure.ts'
import type { Forwarder } from './forwarder.ts'
import type { Refusals } from './refusals.ts'
import type { RepeatMemory } from './repeat-memory.ts'
import type { Router } from '../../../shared/topic-routes.ts'
import type { SharedGroups } from './shared-groups.ts'
import type { SubscriptionInterest } from './subscription-interest.ts'

/**
 * Why the next packet of a connection waits. The first five are a lane's; the others are the connection's own.
 *
 *   reason   the next packet waits because            set in                      woken by
 *   client   its own acks in flight are at the cap    TelemetryLane, AedesLane    TelemetryLane.settled, AedesStream
 *   lane     a lane owes another answer first         PacketDispatch, the lanes   the same two
 *   node     the caps of the node are reached         TelemetryLane               Backpressure.release, first come first served
 *   aedes    aedes' input is full                     AedesLane                   AedesStream._read -> aedesMoved
 *   device   the registry is asked about a device  PacketDispatch              NewDevices, by its answer
 *   rate     a rate is used up                        PacketDispatch              Rates, by its timer
 *   login    CONNECT is being answered                Connection.obstacle         Connection.ready
 *   socket   the client does not read its answers     Connection.obstacle         'drain' of the socket
 *   deaf     nothing more is taken                    Connection                  never
 */
export type Blocked = 'client' | 'lane' | 'node' | 'aedes' | 'rate' | 'device'

/** What all connections of a broker share. */
export interface LaneContext {
  readonly settings: Pick<
    BrokerSettings,
    | 'REFUSED_PUBLISH'
    | 'MAX_IN_FLIGHT_PER_CLIENT'
    | 'MAX_PACKET_BYTES'
    | 'MAX_APPLICATION_PACKET_BYTES'
    | 'MAX_SUBSCRIPTIONS'
  >
  /** The name of this node. */
  readonly node: string
  readonly limits: LimitReports
  readonly router: Router
  readonly newDevices: NewDevices
  readonly authorizer: Pick<Authorizer, 'epoch'>
  readonly forwarder: Forwarder
  readonly backpressure: Backpressure
  readonly clock: ReceiveClock
  readonly refusals: Pick<Refusals, 'record'>
  readonly interest: SubscriptionInterest
  readonly groups: SharedGroups
  /** Groups are for applications, and once every node knows of them. */
  readonly mayShare: (principal: Pick<Principal, 'kind'>) => boolean
  readonly tally: Tally
  readonly repeats: Pick<RepeatMemory, 'enter' | 'leave'>
}

/** The connection of a client. */
export interface LaneConnection {
  /** Writes what is in `output`, and continues reading if it had to wait. */
  progress(): void
  /** Closes the connection; MQTT 5 is told the reason. */
  close(reason: number, text?: string): void
}

/** The client whose packets a lane takes. */
export interface LaneOwner {
  readonly principal: Principal
  /** Scoped by login. */
  readonly clientId: string
  readonly protocol: Protocol
  /** Undefined while no rate is limited. */
  readonly allowance: Allowance | undefined
  /** Its session, if that outlives the connection. */
  readonly lease: Lease | undefined
  /** Filters that the session is subscribed to. */
  isSubscribed(filter: string): boolean
  subscriptionCount(): number
  readonly connection: LaneConnection
  /** Small packets for the client; `connection.progress` writes them. */
  readonly output: PacketOutput
  /** The client leaves and wants its will published. */
  leaveWithWill(): void
}

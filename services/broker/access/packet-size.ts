import type { BrokerSettings } from '../../../config/broker.ts'
import type { Principal } from '../../../shared/registry/port.ts'

/** Longest packet of a login, in bytes. Bridges and home automation describe all that they know in one message. */
export function maxPacketBytes(
  settings: Pick<BrokerSettings, 'MAX_PACKET_BYTES' | 'MAX_APPLICATION_PACKET_BYTES'>,
  { kind }: Pick<Principal, 'kind'>,
): number {
  return kind === 'application' ? settings.MAX_APPLICATION_PACKET_BYTES : settings.MAX_PACKET_BYTES
}

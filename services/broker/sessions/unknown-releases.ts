import { SluiceError } from '../../../shared/errors.ts'
import { ownerOf } from './aedes-hooks.ts'
import type { Persistence } from './aedes-internals.ts'

/** aedes answers a PUBREL of a message that it does not know like any other; MQTT 5 has a reason code for it. */
export function tellUnknownReleases(persistence: Persistence): void {
  const get = persistence.incomingGetPacket.bind(persistence)
  persistence.incomingGetPacket = async (client, packet) => {
    try {
      return await get(client, packet)
    } catch (error) {
      // A store that is down knows nothing of what it has.
      const isUnknown = packet.cmd === 'pubrel' && !(error instanceof SluiceError)
      if (isUnknown && packet.messageId !== undefined) ownerOf(client)?.releasesNothing(packet.messageId)
      throw error
    }
  }
}

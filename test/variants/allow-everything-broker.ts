import { internalsOf } from '../../services/broker/sessions/aedes-internals.ts'
import { AedesStream } from '../../services/broker/sessions/aedes-stream.ts'
import { BROKER_PARTS, type BrokerParts } from '../../services/broker/connection/broker-context.ts'
import { HeaderSet } from '../../shared/record.ts'
import { deviceKey, parseTelemetryTopic } from '../../shared/topics.ts'

/**
 * The broker with an authorizer that allows everything, asked by nobody: whoever has logged in publishes anywhere,
 * subscribes to anything, gets all that matches, and its will is published.
 */
export const ALLOW_EVERYTHING: BrokerParts = {
  ...BROKER_PARTS,
  createRouter: () => (_principal, topic) => {
    const telemetry = parseTelemetryTopic(topic)
    if (telemetry === undefined) return { lane: 'aedes', topic }
    const key = deviceKey(telemetry.tenant, telemetry.device)
    const headers = new HeaderSet(undefined)
    return { lane: 'telemetry', topic, key, headers, topicSum: 0, isOfSeveral: false, watchedUntilMs: 0 }
  },
  aedesHooks: (_forwarder, _clock, ours) => ({
    // Stored for those that are away, as ever; a will as that of nobody, which has no rules.
    authorizePublish(client, packet, done) {
      const isWill = client !== null && internalsOf(client).will === packet
      ours.authorizePublish?.(isWill ? null : client, packet, done)
    },
    authorizeSubscribe(client, subscription, done) {
      if (client.conn instanceof AedesStream) client.conn.owner.subscribed(subscription.topic)
      done(null, subscription)
    },
    authorizeForward: (_client, packet) => packet,
  }),
}

import { AedesStream } from '../../services/broker/sessions/aedes-stream.ts'
import { BROKER_PARTS, type BrokerParts } from '../../services/broker/connection/broker-context.ts'
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
    return { lane: 'telemetry', topic, key: deviceKey(telemetry.tenant, telemetry.device), headers: undefined }
  },
  aedesHooks: () => ({
    authorizePublish: (_client, _packet, done) => done(null),
    authorizeSubscribe(client, subscription, done) {
      if (client.conn instanceof AedesStream) client.conn.owner.subscribed(subscription.topic)
      done(null, subscription)
    },
    authorizeForward: (_client, packet) => packet,
  }),
}

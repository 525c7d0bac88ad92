import { BROKER_PARTS, type BrokerParts } from '../../services/broker/connection/broker-context.ts'
import { createWillForwarder } from '../../services/broker/telemetry/telemetry-wills.ts'
import { parseTelemetryTopic } from '../../shared/topics.ts'
import { SAME_REGISTRY } from '../fakes/memory-policies.ts'
import { ONE_LANE } from './one-lane-broker.ts'

/** Wrong: telemetry is appended in aedes' `published` hook, which runs behind PUBACK. An outage then loses what was acknowledged. */
export const APPEND_AFTER_ACK: BrokerParts = {
  ...BROKER_PARTS,
  createRouter: ONE_LANE.createRouter,
  aedesHooks(forwarder, clock) {
    const append = createWillForwarder(forwarder, clock, SAME_REGISTRY)
    return {
      authorizePublish: (_client, _packet, done) => done(null),
      published(packet, _client, done) {
        if (parseTelemetryTopic(packet.topic) === undefined) return done(null)
        void append(packet.topic, Buffer.from(packet.payload)).then(() => done(null))
      },
    }
  },
}

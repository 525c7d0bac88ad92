import type { Client } from 'aedes'
import { BROKER_PARTS, type BrokerParts } from '../../services/broker/connection/broker-context.ts'
import { createRouter } from '../../shared/topic-routes.ts'
import { SAME_REGISTRY } from '../fakes/memory-policies.ts'
import { createWillForwarder } from '../../services/broker/telemetry/telemetry-wills.ts'
import { parseTelemetryTopic } from '../../shared/topics.ts'

/**
 * The broker without its telemetry lane: telemetry goes through aedes like everything else and is appended in
 * `authorizePublish`, before aedes acknowledges it. What a device sees and what the log holds must be the same as with
 * the lane; the differential test compares the two.
 */
export const ONE_LANE: BrokerParts = {
  ...BROKER_PARTS,
  createRouter(authorizer, names) {
    const route = createRouter(authorizer, names)
    return (principal, topic) => {
      const found = route(principal, topic)
      return found.lane === 'telemetry' ? { lane: 'aedes', topic } : found
    }
  },
  aedesHooks(forwarder, clock) {
    const append = createWillForwarder(forwarder, clock, SAME_REGISTRY)
    // aedes acknowledges as its hooks return: they have to return in the order of the messages.
    const last = new WeakMap<Client, Promise<void>>()
    return {
      authorizePublish(client, packet, done) {
        if (client === null) return done(null)
        const isTelemetry = parseTelemetryTopic(packet.topic) !== undefined
        const before = last.get(client)
        if (!isTelemetry && before === undefined) return done(null)
        const isCleared = packet.retain
        if (isTelemetry) packet.retain = false
        const payload = Buffer.from(packet.payload)
        const isStored = isTelemetry && !(isCleared && payload.length === 0)
        const durable = isStored ? append(packet.topic, payload) : Promise.resolve(true)
        const own = Promise.all([durable, before]).then(([isDurable]) => {
          if (last.get(client) === own) last.delete(client)
          done(isDurable ? null : new Error('the broker closes'))
        })
        last.set(client, own)
      },
    }
  },
}

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeMessage, encodeMessage, toMessage } from '../../../../shared/sessions/message.ts'

it('a message comes to another node with its properties and its expiry', () => {
  const bytes = fc.uint8Array({ maxLength: 50 }).map((it) => Buffer.from(it))
  const seconds = fc.option(fc.nat(), { nil: undefined })
  const will = fc.record({ delay: fc.nat(), expiry: seconds })
  const properties = fc.option(fc.record({ bytes, expiresAt: seconds, will: fc.option(will, { nil: undefined }) }), {
    nil: undefined,
  })
  fc.assert(
    fc.property(bytes, properties, fc.nat({ max: 2 }), fc.boolean(), (payload, brought, qos, retain) => {
      const packet = { topic: 'x/1', payload, qos, retain, ...(brought === undefined ? {} : { properties: brought }) }
      const message = toMessage(packet)
      expect(decodeMessage(encodeMessage(message))).toEqual(message)
      expect(message.properties).toEqual(brought)
      expect(message.expiresMs).toBe(brought?.expiresAt)
    }),
  )
})

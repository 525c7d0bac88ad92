import Type from 'typebox'
import type { FieldValue } from '../../../shared/registry/port.ts'
import type { Api, ApiParts } from '../api.ts'
import { latestStates } from '../latest.ts'
import { jsonValue } from '../live-events.ts'
import { asDeclared, late, shown, shownOf } from '../shown-fields.ts'
import { problemResponses } from '../problem.ts'
import { Epoch, PointTime, rfc3339, TimeOrNull, Value, writeTime } from '../time.ts'
import { DeviceParams, requireDevice } from './devices.ts'

const valueView = {
  value: Value,
  type: Type.Enum(['float', 'integer', 'boolean', 'string']),
  time: PointTime,
}
const FieldView = Type.Object({
  ...valueView,
  ...shown,
  outside: Type.Optional(
    Type.String({ description: 'Why the value is outside of what is declared of the field now.' }),
  ),
  silentSince: late.silentSince,
  lastNumber: Type.Optional(
    Type.Object(valueView, { description: 'The newest number, where the newest value is none: a word, for example.' }),
  ),
})

const Latest = Type.Object(
  {
    tenant: Type.String(),
    device: Type.String(),
    lastSeen: TimeOrNull,
    streams: Type.Array(
      Type.Object({
        stream: Type.String(),
        lastSeen: TimeOrNull,
        fields: Type.Record(Type.String(), FieldView),
      }),
    ),
  },
  {
    headers: {
      'sluice-cache': {
        type: 'string',
        description: '`unavailable` if the response is from the database alone, which lags a few seconds.',
      },
      'sluice-points': {
        type: 'string',
        description: '`unavailable` if the store does not answer: a stream that is some seconds old may be missing.',
      },
    },
  },
)

export function latestRoutes(app: Api, options: ApiParts<'registry' | 'points' | 'cache'>): void {
  app.get(
    '/devices/:tenant/:device/latest',
    {
      schema: {
        tags: ['readings'],
        summary: 'The newest value of every field of a device',
        description:
          'lastSeen is a receive time. A value more than 5 minutes ahead of its receive time never becomes the newest.',
        params: DeviceParams,
        querystring: Type.Object({ epoch: Epoch }, { additionalProperties: false }),
        response: {
          200: Latest,
          ...problemResponses,
        },
      },
    },
    async ({ params: { tenant, device }, query }, reply) => {
      const { uid, lastSeenMs } = await requireDevice(options.registry, tenant, device)
      const { states, hasNewStreams } = await latestStates(options, tenant, uid)
      // Asked after the read, which is what finds out.
      if (!options.cache.available) void reply.header('sluice-cache', 'unavailable')
      if (!hasNewStreams) void reply.header('sluice-points', 'unavailable')
      const streams = states.map((state) => {
        const view = ({ value, type, time }: FieldValue) => {
          return { value: jsonValue(value), type, time: writeTime(time, query.epoch) }
        }
        const fields = Object.entries(state.fields).map(([field, newest]) => {
          const { lastNumber } = newest
          const name = { tenant, stream: state.stream, field }
          const said = { ...shownOf(options.registry, name), ...asDeclared(options.registry, name, newest) }
          return [field, { ...view(newest), ...said, ...(lastNumber && { lastNumber: view(lastNumber) }) }] as const
        })
        return { stream: state.stream, lastSeen: rfc3339(state.lastSeenMs), fields: Object.fromEntries(fields) }
      })
      const seen = [lastSeenMs, ...states.map((state) => state.lastSeenMs)].filter((ms) => ms !== undefined)
      return { tenant, device, lastSeen: rfc3339(seen.length === 0 ? undefined : Math.max(...seen)), streams }
    },
  )
}

import { reservedElements } from '../../../shared/stamps/reservation.ts'
import type { FastifyRequest } from 'fastify'
import { Gauge } from 'prom-client'
import Type, { type Static } from 'typebox'
import { canPublishAs } from '../../../shared/former-names.ts'
import { decodedBytes } from '../../../shared/decoders/compression.ts'
import { isTextDecoder } from '../../../shared/decoders/decoder-names.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { Faults } from '../../../shared/faults.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { headersOf } from '../../../shared/record.ts'
import { deviceKey, formatTelemetryTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { FaultView } from '../letter-view.ts'
import { PayloadRejected, problemResponses } from '../problem.ts'
import { publisherOf } from '../publisher.ts'
import type { Doorway } from '../influx/line-posts.ts'
import { deviceLogin } from '../reading-rates.ts'
import { DeviceParams } from './devices.ts'
import { Stream, streamOf } from './readings.ts'

/** What becomes of a posted payload. */
const Verdict = Type.Object({
  accepted: Type.Union([Type.Integer(), Type.Null()], {
    description:
      'Readings of which at least one field will be stored. Null where only a worker decodes the payload: because it is ' +
      'compressed, or by the decoder that the policy names. What becomes of it, its trace and the dead letters tell.',
  }),
  rejected: Type.Array(FaultView, {
    description: 'What will not be stored: the first hundred faults. All else of these readings will be.',
  }),
  rejectedCount: Type.Integer({ description: 'All faults.' }),
})

/** Nothing that may take long is decoded where connections wait. */
const UNDECIDED: Static<typeof Verdict> = { accepted: null, rejected: [], rejectedCount: 0 }

/** Series kept between two payloads; making one again costs little. */
const MAX_SERIES = 20_000
/** Payloads that wait for the log, of at most MAX_PACKET_BYTES each. More are told to come back. */
const MAX_PENDING = 256

const POST = {
  tags: ['readings'],
  summary: 'Store one payload, as if it had been published over MQTT',
  description:
    'Answered when the readings are durable in the log. Any content type is accepted. Takes an API key, or the ' +
    'token of the device or of an application that may publish to its topic.',
  params: DeviceParams,
  querystring: Type.Object({ stream: Stream }, { additionalProperties: false }),
  body: Type.Unknown({ description: 'A reading or an array of readings; see docs/payloads.md.' }),
  response: {
    202: Verdict,
    ...problemResponses,
  },
}

type PostParts = ApiParts<'registry' | 'log' | 'metrics' | 'settings' | 'stamp'>

/** The way of readings into the log over HTTP. */
export function readingPostRoute(app: Api, options: PostParts, doorway: Doorway): void {
  // A context of its own, because it takes bytes whatever their media type is called.
  app.register(async (raw: Api) => writeRoute(raw, options, doorway))
}

function writeRoute(app: Api, options: PostParts, { takeAtRate, refused }: Doorway): void {
  const { registry, log, metrics } = options
  const table = new SeriesTable({ maxSeries: MAX_SERIES })
  const gauge = new Gauge({
    name: 'sluice_http_appends_pending',
    help: 'Payloads posted over HTTP that are not yet in the log',
    registers: [metrics],
  })
  let pending = 0
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post(
    '/devices/:tenant/:device/readings',
    {
      bodyLimit: options.settings.MAX_PACKET_BYTES,
      config: { acceptsLoginToken: true },
      onRequest: takeBytes,
      schema: POST,
    },
    async (request, reply) => {
      const { tenant, device } = request.params
      const stream = streamOf(request.query.stream)
      const topic = formatTelemetryTopic({ tenant, device, stream })
      if (request.principal !== undefined && !canPublishAs(registry.names, request.principal, topic)) {
        throw new SluiceError('not_authorised', `"${request.who}" may not publish to ${topic}.`)
      }
      const value = request.body instanceof Uint8Array ? request.body : new Uint8Array()
      const letter = { who: request.who, topic, key: deviceKey(tenant, device), payload: value }
      const named = await refused.watch(publisherOf(registry, request.principal, { tenant, device }), letter)
      if (pending >= MAX_PENDING)
        throw new SluiceError('broker_overloaded', `${pending} payloads are waiting for the log.`)
      takeAtRate(request.principal ?? deviceLogin(named), value.length)
      const login = request.principal?.kind === 'application' ? request.principal.name : undefined
      const headers = headersOf({ tenant, device, stream }, named.uid, topic, registry.policies, login)
      const record = { key: deviceKey(tenant, named.uid), value, ...options.stamp(reservedElements(value)), headers }
      await table.policies.learn([record], (ids) => registry.policies.find(ids))
      const { decoder, encoding } = table.policies.of(record, stream)
      const isText = isTextDecoder(decoder) && encoding === 'none'
      const isQuick = isText && decodedBytes(value) === value.length
      const answer = isQuick ? checkPayload(record, table) : UNDECIDED
      try {
        gauge.set((pending += 1))
        await log.append('telemetry.raw', [record])
      } finally {
        gauge.set((pending -= 1))
      }
      return reply.code(202).send(answer)
    },
  )
}

async function takeBytes({ raw: { headers } }: FastifyRequest): Promise<void> {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') {
    throw new SluiceError('media_type_unsupported', `Content-Encoding "${encoding}" is not supported.`)
  }
  // curl -d says it sends a form, and others write no valid type at all: the bytes speak for themselves.
  headers['content-type'] = 'application/octet-stream'
}

/** What will become of the fields of a payload. Throws {@link PayloadRejected} when none can be stored. */
function checkPayload(record: LogRecord, table: SeriesTable): Static<typeof Verdict> {
  const { readings, faults } = decodeRecords([record], table)
  const { first, total } = faults.get(0) ?? new Faults()
  const [worst] = first
  if (readings > 0 || worst === undefined) return { accepted: readings, rejected: first, rejectedCount: total }
  throw new PayloadRejected(worst.code, worst.detail, first)
}

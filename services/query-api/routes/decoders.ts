import Type, { type Static } from 'typebox'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { DECODERS } from '../../../shared/decoders/decoder-names.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { idOf, readDocument, type PolicyDocument } from '../../../shared/policies/document.ts'
import { formatRevision, REVISION_HEADER } from '../../../shared/policies/revision.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { DEFAULT_STREAM, deviceKey, formatTelemetryTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { PayloadVerdict, viewVerdict } from '../payload-verdict.ts'
import { problemResponses } from '../problem.ts'
import { Stream, streamOf } from './readings.ts'

/** Whose the payload is said to be; a device of that name is not asked for. */
const NOBODY = { tenant: 'nobody', device: 'nobody' }

const Body = Type.Object(
  {
    decoder: Type.String({ maxLength: 256 }),
    payloadBase64: Type.String({ description: 'The bytes.', format: 'byte' }),
    stream: Type.Optional(Stream),
    settings: Type.Optional(
      Type.Unsafe<PolicyDocument>({ type: 'object', description: 'Other settings of a policy; see docs/policies.md.' }),
    ),
  },
  { additionalProperties: false },
)

/** Which decoders there are, and what they make of a payload. */
export function decoderRoutes(app: Api, options: ApiParts<'registry' | 'settings'>): void {
  const tags = ['policies']
  app.get(
    '/decoders',
    {
      schema: {
        tags,
        summary: 'The decoders that a policy may name',
        response: {
          200: Type.Object({ decoders: Type.Array(Type.Object({ name: Type.String(), reads: Type.String() })) }),
          ...problemResponses,
        },
      },
    },
    () => ({ decoders: Object.entries(DECODERS).map(([name, reads]) => ({ name, reads })) }),
  )
  app.post(
    '/decoders/test',
    {
      bodyLimit: 2 * options.settings.MAX_PACKET_BYTES + 65_536,
      schema: {
        tags,
        summary: 'What a payload becomes by a decoder',
        description: 'Nothing is written, and the policies in force do not count.',
        body: Body,
        response: { 200: PayloadVerdict, ...problemResponses },
      },
    },
    ({ body }) => verdictOf(options, body),
  )
}

/** Errors: `policy_invalid`, and `payload_too_large`. With a table of its own: what it learns is of no use to others. */
async function verdictOf(
  { registry, settings: limits }: ApiParts<'registry' | 'settings'>,
  { decoder, payloadBase64, stream, settings }: Static<typeof Body>,
): Promise<PayloadVerdict> {
  const document = readDocument({ ...settings, decoder }, NOBODY.tenant)
  const value = Buffer.from(payloadBase64, 'base64')
  if (value.length > limits.MAX_PACKET_BYTES) {
    throw new SluiceError(
      'payload_too_large',
      `${value.length} bytes, and MAX_PACKET_BYTES is ${limits.MAX_PACKET_BYTES}`,
    )
  }
  const topic = formatTelemetryTopic({ ...NOBODY, stream: streamOf(stream ?? DEFAULT_STREAM) })
  const headers = { topic, [REVISION_HEADER]: formatRevision(idOf(document), '') ?? '' }
  const record: LogRecord = {
    key: deviceKey(NOBODY.tenant, NOBODY.device),
    value,
    ms: Date.now(),
    ns: 0,
    scheme: 1,
    headers,
  }
  const table = new SeriesTable({ maxSeries: 1 })
  await table.policies.learn([record], async (ids) => new Map(ids.map((id) => [id, document])))
  return viewVerdict(decodeRecords([record], table), record, registry.names, NOBODY.device)
}

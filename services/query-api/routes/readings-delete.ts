import { randomUUID } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import { isDeviceName } from '../../../shared/names.ts'
import { compareInstants, formatInstant } from '../../../shared/telemetry.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { countDeleted } from '../deleted-count.ts'
import { goneSignal } from '../gone.ts'
import { DELETE_READINGS, type DeleteSpec } from '../jobs/delete-readings.ts'
import type { JobRunner } from '../jobs/job-runner.ts'
import { problemResponses } from '../problem.ts'
import { countPoints } from '../reading-counts.ts'
import { parseTime } from '../time.ts'
import { DeviceParams, requireDevice } from './devices.ts'
import { JobView, viewJob } from './jobs.ts'

const Span = Type.Object(
  {
    stream: Type.Optional(Type.String({ description: 'One stream; all of the device by default.' })),
    from: Type.Optional(
      Type.String({
        description: 'Inclusive: RFC 3339 or milliseconds since 1970. From the first reading by default.',
      }),
    ),
    to: Type.Optional(
      Type.String({
        description: 'Exclusive: RFC 3339 or milliseconds since 1970. The moment of the request by default.',
      }),
    ),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only count what would be deleted.' })),
  },
  { additionalProperties: false },
)

const Answer = Type.Object({
  from: Type.String({ format: 'date-time' }),
  to: Type.String({ format: 'date-time' }),
  fields: Type.Array(
    Type.Object({
      stream: Type.String(),
      field: Type.String(),
      points: Type.Integer(),
    }),
    { description: 'What is stored of the span now.' },
  ),
  points: Type.Integer({ description: 'All of them.' }),
  letters: Type.Optional(
    Type.Integer({ description: 'Of a dry run: dead letters with readings of the span, which go with them.' }),
  ),
  lettersComplete: Type.Optional(Type.Boolean({ description: 'False: there are more than were looked at.' })),
  job: Type.Union([JobView, Type.Null()], { description: 'What deletes them; null of a dry run.' }),
})

/** Deletes readings: what is stored of a span, and what of it is still on its way. */
export function readingDeleteRoutes(
  app: Api,
  options: ApiParts<'registry' | 'points' | 'log'>,
  runner: Pick<JobRunner, 'wake'>,
): void {
  app.post(
    '/devices/:tenant/:device/readings/delete',
    {
      schema: {
        tags: ['readings'],
        summary: 'Delete readings of a device',
        description:
          'Makes a job. What was received of the span until it ends is not stored again, whatever way it comes; what is received later is.',
        params: DeviceParams,
        body: Span,
        response: { 200: Answer, 202: Answer, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { registry, points } = options
      const { tenant, device, uid } = await requireDevice(registry, request.params.tenant, request.params.device)
      const { stream, from, to } = readSpan(request.body)
      const fields = await countPoints(points, { tenant, device: uid, stream, from, to })
      const counted = {
        ...{ from: formatInstant(from), to: formatInstant(to), fields },
        points: fields.reduce((sum, one) => sum + one.points, 0),
      }
      if (request.body.dryRun === true) {
        const wouldBe = { id: '', tenant, uid, stream, from, to, receivedMs: undefined }
        return { ...counted, ...(await countDeleted(options, wouldBe, goneSignal(reply))), job: null }
      }
      const names = { tenant, device, uid, ...(stream === undefined ? {} : { stream }) }
      const spec: DeleteSpec = { id: randomUUID(), ...names, from, to }
      const job = await registry.jobs.create({ kind: DELETE_READINGS, spec, who: request.who })
      const what = `${stream ?? 'all streams'} from ${counted.from} to ${counted.to}, ${counted.points} points, job ${job.id}`
      await recordAction(options, request, DELETE_READINGS, deviceKey(tenant, device), what)
      runner.wake()
      void reply.code(202)
      return { ...counted, job: viewJob(job) }
    },
  )
}

/** Errors: `bad_request`, `name_invalid`. */
function readSpan({ stream, from: fromText, to: toText }: Static<typeof Span>) {
  if (stream !== undefined && !isDeviceName(stream)) {
    throw new SluiceError(
      'name_invalid',
      `stream ${JSON.stringify(stream.slice(0, 160))} is not 1 to 128 bytes of UTF-8`,
    )
  }
  const from = fromText === undefined ? { ms: 0, ns: 0 } : parseTime('from', fromText)
  const to = toText === undefined ? { ms: Date.now(), ns: 0 } : parseTime('to', toText)
  if (compareInstants(from, to) >= 0) throw new SluiceError('bad_request', '"from" is not earlier than "to"')
  return { stream, from, to }
}

import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts'
import { retryAfterSeconds, toProblem } from '../problem.ts'

/** What clients of InfluxDB read of an error: `error` those of 1.x, `code` and `message` those of 2.x. */
export const InfluxError = Type.Object(
  {
    code: Type.String({ description: "InfluxDB's word for the status." }),
    message: Type.String(),
    error: Type.String({ description: 'The same as message.' }),
    sluice: Type.String({ description: 'A code of docs/errors.md.' }),
  },
  { $id: 'InfluxError' },
)

const media = { 'application/json': { schema: Type.Unsafe({ $ref: 'InfluxError#' }) } }
/** Error bodies, for the OpenAPI document. */
export const influxErrors = {
  '4xx': { description: 'Nothing, or not all, was taken; message says why.', content: media },
  '5xx': { description: 'Send the same again after Retry-After.', content: media },
} as const

/** https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite */
const WORDS: Readonly<Record<number, string>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not found',
  413: 'request too large',
  422: 'unprocessable entity',
  429: 'too many requests',
  503: 'unavailable',
}

/** As {@link sendProblem}, in the form that these clients understand; 5xx where the same may succeed later. */
export function sendInfluxError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { code, detail, status, fix } = toProblem(error, request.id)
  // While a cluster is upgraded; whoever posts can do nothing but wait.
  const answered = code === 'feature_missing' ? 503 : status
  if (code === 'internal') request.log.error({ err: error, requestId: request.id }, 'request failed')
  if (answered === 401) reply.header('www-authenticate', 'Token realm="sluice"')
  if (answered === 503 || ERRORS[code as ErrorCode].canRetry) reply.header('retry-after', retryAfterSeconds(error))
  return sendInflux(reply, answered, `${detail} ${fix}`, code)
}

export function sendInflux(reply: FastifyReply, status: number, message: string, code: string): FastifyReply {
  const word = WORDS[status] ?? (status >= 500 ? 'internal error' : 'invalid')
  // Headers are one line of Latin-1.
  reply.header('x-influxdb-error', message.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 1_000))
  return reply.code(status).type('application/json').send({ code: word, message, error: message, sluice: code })
}

import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { ERRORS, SluiceError, type ErrorCode } from '../../shared/errors.ts'
import { FaultView } from './letter-view.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** RFC 9457 problem details with the code and the fix of the error table. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Always about:blank; see code.' }),
    title: Type.String({ description: 'Name of the HTTP status.' }),
    status: Type.Integer(),
    code: Type.String({ description: 'A code of docs/errors.md.' }),
    detail: Type.String({ description: 'What was wrong with this request.' }),
    fix: Type.String({ description: 'What to do about it.' }),
    rejected: Type.Optional(Type.Array(FaultView)),
  },
  { $id: 'Problem' },
)

/** Nothing of a posted payload can be stored: the first fault's code, and the first hundred faults. */
export class PayloadRejected extends SluiceError {
  readonly rejected: readonly FaultView[]

  constructor(code: ErrorCode, message: string, rejected: readonly FaultView[]) {
    super(code, message)
    this.rejected = rejected
  }
}

/** Error bodies of every route, for the OpenAPI document. */
export const problemResponses = {
  '4xx': {
    description: 'The request failed; code, detail and fix say why.',
    content: { [PROBLEM_TYPE]: { schema: Type.Unsafe<Static<typeof Problem>>({ $ref: 'Problem#' }) } },
  },
  '5xx': {
    description: 'Sluice, or a service it depends on, is down.',
    content: { [PROBLEM_TYPE]: { schema: Type.Unsafe<Static<typeof Problem>>({ $ref: 'Problem#' }) } },
  },
} as const

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** What fastify itself found wrong with a request, by its documented codes. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
}

/** Any error of a request as a problem. An unexpected one tells nothing of itself but where it is logged. */
export function toProblem(error: unknown, requestId: string): Static<typeof Problem> {
  const known = error instanceof SluiceError ? error : frameworkError(error)
  if (known === undefined) {
    return problem('internal', `An unexpected error; the log names it under request ${requestId}.`)
  }
  const rejected = known instanceof PayloadRejected ? { rejected: [...known.rejected] } : {}
  return { ...problem(known.code, known.message), ...rejected }
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const body = toProblem(error, request.id)
  if (body.code === 'internal') request.log.error({ err: error, requestId: request.id }, 'request failed')
  if (body.status === 401) {
    const invalid = body.code === 'token_invalid' ? ', error="invalid_token"' : ''
    reply.header('www-authenticate', `Bearer realm="sluice"${invalid}`)
  }
  if (ERRORS[body.code as ErrorCode].canRetry) reply.header('retry-after', retryAfterSeconds(error))
  return reply.code(body.status).type(PROBLEM_TYPE).send(body)
}

/** What the header `Retry-After` says of an error. */
export function retryAfterSeconds(error: unknown): string {
  const afterMs = (error instanceof SluiceError ? error.retryAfterMs : undefined) ?? 0
  return String(Math.max(1, Math.ceil(afterMs / 1000)))
}

/** The answer to bytes that are no HTTP request: there is no reply object yet. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { title, status, ...rest } =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? problem('request_too_slow', 'The request did not arrive in time.')
      : problem('bad_request', `This is not a valid HTTP request (${error.code}).`)
  const body = JSON.stringify({ ...rest, title, status })
  const length = Buffer.byteLength(body)
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`,
  )
}

function problem(code: ErrorCode, detail: string): Static<typeof Problem> {
  const { status, fix } = ERRORS[code]
  return { type: 'about:blank', title: TITLES[status] ?? 'Error', status, code, detail, fix }
}

function frameworkError(error: unknown): SluiceError | undefined {
  const { code, statusCode, message } = error as Partial<FastifyError>
  const ours = FRAMEWORK_CODES[code ?? '']
  if (ours !== undefined) return new SluiceError(ours, message ?? '')
  const isClients = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  return isClients ? new SluiceError(statusCode === 404 ? 'not_found' : 'bad_request', message ?? '') : undefined
}

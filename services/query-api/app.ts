import helmet from '@fastify/helmet'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, LogController, type FastifyBaseLogger, type FastifyRequest } from 'fastify'
import { clientAddress, networksOf } from '../../shared/addresses.ts'
import { openCodecs } from '../../shared/codecs/uploaded-codecs.ts'
import { SluiceError } from '../../shared/errors.ts'
import { HttpConnections, httpTimeouts, type HttpLimits } from '../../shared/process/http-connections.ts'
import { isHandedOn } from '../../shared/process/scrapers.ts'
import type { Api, ApiOptions } from './api.ts'
import { Authentication } from './authentication.ts'
import { BrowserSessions } from './browser-sessions.ts'
import { describeApi, serveDescription } from './description.ts'
import { checkHost } from './host-check.ts'
import { influxDoors } from './influx/doors.ts'
import type { Doorway } from './influx/line-posts.ts'
import { jobHandlers } from './jobs/handlers.ts'
import { JobRunner } from './jobs/job-runner.ts'
import { LiveView } from './live.ts'
import { answerBrokenRequest, Problem, sendProblem } from './problem.ts'
import { createPacer } from './reading-rates.ts'
import { RefusedReadings } from './refused-readings.ts'
import { observeRequests } from './requests.ts'
import { aclRoutes } from './routes/acl.ts'
import { applicationRoutes } from './routes/applications.ts'
import { auditRoutes } from './routes/audit.ts'
import { backupRoute } from './routes/backup.ts'
import { claimKeyRoutes, claimRoute } from './routes/claims.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { commandRoutes } from './routes/commands.ts'
import { decoderRoutes } from './routes/decoders.ts'
import { deadLetterRoutes } from './routes/dead-letters.ts'
import { wholeLetterRoutes } from './routes/whole-letters.ts'
import { traceRoute } from './routes/trace.ts'
import { watchRoutes } from './routes/watches.ts'
import { deviceNameRoutes } from './routes/device-names.ts'
import { bulkRoutes } from './routes/devices-bulk.ts'
import { deviceListRoute } from './routes/device-list.ts'
import { deviceRoutes } from './routes/devices.ts'
import { healthRoutes } from './routes/health.ts'
import { importRoutes } from './routes/imports.ts'
import { jobRoutes } from './routes/jobs.ts'
import { letterJobRoutes } from './routes/letter-jobs.ts'
import { rereadRoute } from './routes/reread.ts'
import { latestRoutes } from './routes/latest.ts'
import { manyReadingRoutes } from './routes/many-readings.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { registerPage } from './routes/page.ts'
import { pendingRoutes } from './routes/pending.ts'
import { policyRoutes } from './routes/policies.ts'
import { readingDeleteRoutes } from './routes/readings-delete.ts'
import { readingPostRoute } from './routes/readings-post.ts'
import { readingRoutes } from './routes/readings.ts'
import { endSessionRoute, openSessionRoute } from './routes/session.ts'
import { retentionRoutes } from './routes/retention.ts'
import { statusRoutes } from './routes/status.ts'
import { streamRoutes } from './routes/stream.ts'
import { uploadedDecoderRoutes } from './routes/uploaded-decoders.ts'
import { topicTestRoute } from './routes/topics-test.ts'
import { typeRoutes } from './routes/declared-types.ts'
import { workerRoutes } from './routes/workers.ts'
import { Turns } from './series-answer.ts'
import { validatorCompiler } from './validation.ts'

/** Bulk requests hold up to 1,000 devices with their tags; payloads have their own limit. */
const BODY_LIMIT = 1_048_576
/** Of a name in a path: more than any may have, so that a long one is refused as a name. */
const MAX_PARAM_LENGTH = 4_096
/** How long requests in flight may take once the server is closing. The process has 10 s for everything. */
const DRAIN_MS = 5_000

/** Answers to programs need nothing from a browser; the page and /docs bring what they need. */
const CONTENT_SECURITY_POLICY = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] }

/**
 * The HTTP API and the page, ready to listen. `close()` ends live views at once, finishes what is in flight (at most 5 s)
 * and resolves when no connection is left.
 */
export async function createApi(given: Omit<ApiOptions, 'uploaded'>): Promise<Api> {
  const codecs = openCodecs(given.registry.decoders)
  const options: ApiOptions = { ...given, uploaded: codecs.uploaded }
  const isProxy = networksOf(options.settings.HTTP_PROXY_FROM)
  const limits: HttpLimits = {
    listener: 'http',
    connections: options.settings.HTTP_CONNECTIONS_MAX,
    perAddress: options.settings.HTTP_CONNECTIONS_PER_ADDRESS,
    isExempt: isProxy,
    requestMs: options.settings.HTTP_REQUEST_SECONDS * 1_000,
  }
  const app = createServer(options, limits, isProxy)
  const connections = new HttpConnections(app.server, limits, options.metrics)
  const live = new LiveView({ ...options, maxClients: options.settings.HTTP_STREAMS_MAX })
  const sessions = new BrowserSessions(options.metrics)
  const authentication = new Authentication(options.registry, sessions, options.metrics)
  const doorway: Doorway = { takeAtRate: createPacer(options), refused: new RefusedReadings(options) }
  const runner = new JobRunner({ ...options, jobs: options.registry.jobs, handlers: jobHandlers(options) })
  checkHost(app, options)
  drainAtClose(app, live)
  app.addHook('onClose', async () => sessions.close())
  app.addHook('onReady', async () => runner.start())
  app.addHook('onClose', () => runner.close())
  app.addHook('onClose', () => codecs.close())
  // Behind the hooks that look at the token, before the body is read.
  app.addHook('preParsing', async (request) => {
    if (request.who !== '') connections.keep(request.raw.socket)
  })
  observeRequests(app, options.metrics)
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    // Plain HTTP is what is served here; whoever puts TLS in front sets this.
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  })
  await describeApi(app)
  await app.register(async (open: Api) => {
    healthRoutes(open, options, authentication)
    openSessionRoute(open, authentication, sessions)
    claimRoute(open, options)
  })
  await app.register(
    async (closed: Api) => {
      closed.addHook('onRequest', (request) => authentication.check(request))
      endSessionRoute(closed, sessions)
      administrationRoutes(closed, options)
      dataRoutes(closed, options, runner, doorway)
      streamRoutes(closed, live, sessions)
    },
    { prefix: '/v1' },
  )
  await app.register(async (doors: Api) => influxDoors(doors, options, authentication, doorway))
  await serveDescription(app)
  await registerPage(app, options.publicFolder)
  return app
}

/** Devices, logins and what is set for them. */
function administrationRoutes(app: Api, options: ApiOptions): void {
  deviceRoutes(app, options)
  deviceListRoute(app, options)
  deviceNameRoutes(app, options)
  bulkRoutes(app, options)
  commandRoutes(app, options)
  credentialRoutes(app, options)
  claimKeyRoutes(app, options)
  pendingRoutes(app, options)
  auditRoutes(app, options)
  policyRoutes(app, options)
  uploadedDecoderRoutes(app, options)
  applicationRoutes(app, options)
  aclRoutes(app, options)
  importRoutes(app, options)
}

/** Readings, and how Sluice is doing. */
function dataRoutes(app: Api, options: ApiOptions, runner: JobRunner, doorway: Doorway): void {
  latestRoutes(app, options)
  const turns = new Turns()
  readingRoutes(app, options, turns)
  readingPostRoute(app, options, doorway)
  manyReadingRoutes(app, options, turns)
  retentionRoutes(app, options)
  readingDeleteRoutes(app, options, runner)
  deadLetterRoutes(app, options)
  wholeLetterRoutes(app, options)
  topicTestRoute(app, options)
  decoderRoutes(app, options)
  traceRoute(app, options)
  watchRoutes(app, options)
  letterJobRoutes(app, options, runner)
  rereadRoute(app, options, runner)
  typeRoutes(app, options, runner)
  jobRoutes(app, options)
  statusRoutes(app, options)
  backupRoute(app, options)
  nodeRoutes(app, options)
  workerRoutes(app, options)
}

function createServer(options: ApiOptions, limits: HttpLimits, isProxy: (address: string) => boolean): Api {
  const loggerInstance: FastifyBaseLogger = options.logger.child({ part: 'http' })
  const app: Api = fastify({
    loggerInstance,
    // One line per request is written by observeRequests.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    // Names in a path count as they are once decoded, usernames of logins among them.
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    // Refused by a hook of ours instead, as a problem like every other refusal.
    return503OnClosing: false,
    // Idle connections are closed by Node's own server.close(); those with a request in flight must not be.
    forceCloseConnections: false,
    ...httpTimeouts(limits),
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  // Answers are made from typed code and checked against their schemas in the tests; writing needs no schema.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new SluiceError('not_found', `No such route: ${request.method} ${pathOf(request.url)}.`),
      request,
      reply,
    ),
  )
  app.addHook('onRequest', async (request) => {
    const { headers, socket } = request.raw
    request.client = clientAddress(socket.remoteAddress ?? '', headers['x-forwarded-for'], isProxy)
    request.isHandedOn = isHandedOn(headers) && !isProxy(socket.remoteAddress ?? '')
  })
  app.addHook('onRequest', forgetTypeOfNothing)
  app.decorateRequest('client', '')
  app.decorateRequest('isHandedOn', false)
  app.decorateRequest('who', '')
  app.decorateRequest('principal', undefined)
  app.decorateRequest('session', undefined)
  app.addSchema(Problem)
  return app
}

/** Many clients name a content type with every request: of a body that is not there it says nothing. */
async function forgetTypeOfNothing({ raw: { headers } }: FastifyRequest): Promise<void> {
  const isEmpty = (headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined
  if (isEmpty) delete headers['content-type']
}

function drainAtClose(app: Api, live: LiveView): void {
  let closing = false
  let limit: NodeJS.Timeout | undefined
  app.addHook('onRequest', async () => {
    if (closing) throw new SluiceError('closed', 'The server is shutting down.')
  })
  app.addHook('preClose', async () => {
    closing = true
    limit = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
    await live.close()
  })
  app.addHook('onClose', async () => clearTimeout(limit))
}

function pathOf(url: string): string {
  return (url.split('?')[0] ?? '').slice(0, 200)
}

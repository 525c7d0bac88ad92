import type { EventSourceMessage } from 'eventsource-parser'
import { parseTenantOrDevice, wholeNumber } from '../argument-parsers.ts'
import { readEvents } from '../event-stream.ts'
import { printable } from '../../../shared/printable.ts'
import { jsonLine, type Commands, type Session } from '../session.ts'

interface ReadingEvent {
  readonly tenant: string
  readonly device: string
  readonly stream: string
  readonly time: string
  readonly values: Readonly<Record<string, unknown>>
}

interface RefusalEvent {
  readonly code: string
  readonly detail: string
  readonly fix: string
  readonly who: string
  readonly topic: string | null
  readonly receivedAt: string
}

export function addTail({ program, run }: Commands): void {
  program
    .command('tail')
    .description('print decoded readings and refusals as they arrive, one per line, until Ctrl-C')
    .argument('[tenant[/device]]', 'only this tenant or device', parseTenantOrDevice)
    .option('--limit <count>', 'stop after this many events', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action(run(tail))
}

async function tail(
  session: Session,
  filter: { tenant?: string; device?: string } | undefined,
  { limit = Infinity }: { limit?: number },
): Promise<0 | 1> {
  const interruption = session.host.interruption()
  const enough = new AbortController()
  const signal = AbortSignal.any([interruption, enough.signal])
  try {
    const body = await session.api.stream('/v1/stream', { ...filter }, signal)
    let left = limit
    for await (const event of readEvents(body)) {
      session.host.stdout(session.json ? eventLine(event) : `${line(event, session)}\n`)
      left -= 1
      if (left <= 0) return 0
    }
  } catch (error) {
    if (interruption.aborted) return 0
    throw error
  } finally {
    enough.abort()
  }
  session.note(`sluice: ${session.url} closed the stream; is it shutting down?`)
  return 1
}

function eventLine({ event = 'message', data }: EventSourceMessage): string {
  return jsonLine({ event, ...(JSON.parse(data) as object) })
}

function line({ event = 'message', data }: EventSourceMessage, { color }: Session): string {
  switch (event) {
    case 'reading': {
      const { tenant, device, stream, time, values } = JSON.parse(data) as ReadingEvent
      const suffix = stream === 'telemetry' ? '' : ` ${stream}`
      const fields = Object.entries(values).map(([field, value]) => `${field}=${JSON.stringify(value)}`)
      return `${color.dim(time)} ${color.cyan(printable(`${tenant}/${device}${suffix}`))} ${printable(fields.join(' '))}`
    }
    case 'refusal':
    case 'warning': {
      const { code, detail, fix, who, topic, receivedAt } = JSON.parse(data) as RefusalEvent
      const what = event === 'refusal' ? color.red(`refused ${code}`) : color.yellow(`warning ${code}`)
      const where = topic === null ? '' : ` ${printable(topic)}`
      return `${color.dim(receivedAt)} ${what} ${printable(who)}${where}: ${printable(detail)} ${color.dim(fix)}`
    }
    case 'skipped':
      return color.yellow(`... ${String((JSON.parse(data) as { records?: number }).records)} skipped: too fast to show`)
    default:
      return printable(`${event} ${data}`)
  }
}

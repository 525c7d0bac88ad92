import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface PortOwner {
  readonly pid: number
  /** The command line, shortened. */
  readonly command: string
}

const LISTEN = '0A'
const MAX_COMMAND_LENGTH = 160

/**
 * The process that listens on a TCP port, from /proc (https://man7.org/linux/man-pages/man5/proc_net.5.html): undefined
 * where there is no /proc, or when the process is another user's.
 */
export function findPortOwner(port: number): PortOwner | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)))
  if (inodes.size === 0) return undefined
  const pid = entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find((candidate) => entriesOf(`/proc/${candidate}/fd`).some((fd) => inodes.has(socketInode(candidate, fd))))
  return pid === undefined ? undefined : { pid: Number(pid), command: commandOf(pid) }
}

function listeningInodes(file: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readOr(file, '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => local.endsWith(suffix) && state === LISTEN)
    .map((columns) => columns[9] ?? '')
}

function socketInode(pid: string, fd: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? ''
  } catch {
    return '' // closed meanwhile, or not ours to see
  }
}

function commandOf(pid: string): string {
  const command = readOr(`/proc/${pid}/cmdline`, '').replaceAll('\0', ' ').trim()
  return command.length > MAX_COMMAND_LENGTH ? `${command.slice(0, MAX_COMMAND_LENGTH)}...` : command
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // gone meanwhile, not ours to see, or no /proc at all
  }
}

function readOr(file: string, fallback: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return fallback
  }
}

import { pause } from './backoff.ts'
import { SluiceError, type ErrorCode } from './errors.ts'

/** What the promise is settled with, or an error of this code after the time; an answer that comes later is lost. */
export async function inTime<T>(promise: Promise<T>, ms: number, code: ErrorCode): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new SluiceError(code, `no answer within ${ms / 1000} s`)), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves when the promise does, or after the time; rejects when it does before. */
export async function orLate(promise: Promise<unknown>, ms: number): Promise<void> {
  const limit = new AbortController()
  try {
    await Promise.race([promise, pause(ms, limit.signal)])
  } finally {
    limit.abort()
  }
}

/**
 * A wire between two processes: questions that are answered, and notices that are not. What is sent first
 * arrives first.
 */

/** How the other process is reached. */
export interface Port {
  /** Never throws: who is gone is told of otherwise. */
  send(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
}

// biome-ignore lint/suspicious/noExplicitAny: the arguments of a function of any kind
type Table = { readonly [Name in string]: (...args: any[]) => unknown }
type Functions<T> = { readonly [Name in keyof T]: T[Name] }

export interface Wire<Answers, Notices> {
  /** @throws Error with what the other one threw, or that it is gone. */
  ask<Name extends keyof Answers & string>(
    name: Name,
    ...args: ArgumentsOf<Answers[Name]>
  ): Promise<ResultOf<Answers[Name]>>
  tell<Name extends keyof Notices & string>(name: Name, ...args: ArgumentsOf<Notices[Name]>): void
  /** The other one is gone: nothing that was asked will be answered. */
  close(why: string): void
}

type ArgumentsOf<F> = F extends (...args: infer A) => unknown ? A : never
type ResultOf<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never

interface Asked {
  readonly ask: string
  readonly number: number
  readonly args: readonly unknown[]
}
interface Told {
  readonly tell: string
  readonly args: readonly unknown[]
}
interface Answered {
  readonly answers: number
  readonly value?: unknown
  readonly error?: string
}

/**
 * @param answers - What the other one may ask here.
 * @param notices - What the other one may tell here.
 */
export function createWire<TheirAnswers, TheirNotices, OurAnswers, OurNotices>(
  port: Port,
  answers: Functions<OurAnswers>,
  notices: Functions<OurNotices>,
): Wire<TheirAnswers, TheirNotices> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let asked = 0
  let closed: string | undefined

  async function answer({ ask, number, args }: Asked): Promise<void> {
    try {
      const value = await (answers as Table)[ask]?.(...args)
      port.send({ answers: number, value } satisfies Answered)
    } catch (error) {
      port.send({ answers: number, error: (error as Error).message ?? String(error) } satisfies Answered)
    }
  }

  function settle({ answers: number, value, error }: Answered): void {
    const asker = waiting.get(number)
    waiting.delete(number)
    if (error === undefined) asker?.resolve(value)
    else asker?.reject(new Error(error))
  }

  port.onMessage(message => {
    // Its last words may come after its end, when another one has its place.
    if (closed !== undefined) return
    const told = message as Partial<Asked & Told & Answered>
    if (told.ask !== undefined) void answer(told as Asked)
    else if (told.tell !== undefined) (notices as Table)[told.tell]?.(...(told as Told).args)
    else if (told.answers !== undefined) settle(told as Answered)
  })

  return {
    ask(name, ...args) {
      if (closed !== undefined) return Promise.reject(new Error(closed))
      const number = ++asked
      return new Promise((resolve, reject) => {
        waiting.set(number, { resolve: resolve as (value: unknown) => void, reject })
        port.send({ ask: name, number, args } satisfies Asked)
      })
    },
    tell(name, ...args) {
      if (closed === undefined) port.send({ tell: name, args } satisfies Told)
    },
    close(why) {
      closed = why
      for (const { reject } of waiting.values()) reject(new Error(why))
      waiting.clear()
    },
  }
}

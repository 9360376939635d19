/* Who wakes whom: attention, bell, interrupt, escalation, the guard and both kinds of sleeper, as a model for spin (run.sh).
 *
 * Responsible for: no lost wake-up, no letting go of work that a sender trusted the holder to see, never two owners of the guard,
 * whichever step a sender dies at. Not for what a message is, room, credit, bodies, completions, or teardown of the receiver.
 *
 * Senders are other processes, each one actor, for its own guard serialises it. One process receives: JS threads of JavaScript and
 * the progress thread. A d_step is one access to a word that others write, together with what nobody else can see. Memory is
 * sequentially consistent: the code's accesses to these words are seq_cst (but set_lingering and hints, which are not modelled).
 *
 *   here               in the code
 *   TRY, PEND, ENTERED Guard::try_enter, enter_or_leave_pending: guard.try_enter, guard.pend, guard.entered
 *   WAKE, LOAD+s       Engine::progress: attention.wake; receive() of peer s: shm.head.load
 *   RUNNING, ARM, LOOK Engine::leave: running_.load; attention.arm; look(): shm.look. ROUNDS_OVER: platform_.more, the nudge
 *   LEAVE              guard.leave; if it fails guard.take_pending
 *   CALL               Engine::submit or a native call: in and out, without progress unless somebody pends
 *   COPY               leave_to_copy: awake, guard free, the thread comes back by CALL
 *   SLEEPS             epoll_wait, of a loop (uv__io_poll, converse) or of progress.cc run(), which drains its descriptors
 *   BED                before_poll has said set_running(false) and polled
 *   STUCK              JavaScript computes for ever; woken, it may do so before on_bell (another callback of the same turn)
 *   SYSCALL            a synchronous system call that lasts for ever (execSync, Atomics.wait): no interrupt reaches it either
 *   hat                where the interrupt handler on thread 0 is; the thread stands still meanwhile
 *   SETTLE             Engine::settle, owes_ring: engine.attention.load; returns: engine.returns; step(rings = false): not yet
 *   OWES               Engine::ring: engine.ring.  IDLE with timer: timer_fired, ring_owed.  CHECK, ESCALATE: engine.escalate
 *
 * Assumed:
 * - A bell is EPOLLEXCLUSIVE | EPOLLET everywhere: a ring asks the sets in order (thread 0, thread 1, progress thread), leaves its
 *   edge in each that nobody sleeps in, and wakes one sleeper in the first where somebody does; a set with an edge does not sleep.
 *   A thread has one set here; really two (loop, conversation), of which the other may keep an edge: one wake-up more.
 * - A loop that wakes by itself (timer, socket) before it was rung is as one that had not slept, but for being rung meanwhile.
 * - Escalation, nudge and the hub's socket are level-triggered and read before the poll that follows: one bit, `called`.
 * - Time is arbitrary: a timer fires any time after it was set, so the second interval before an escalation is none here, and 16
 *   rounds of looking are any number. Whether it escalated already (escalated_epoch) follows: the timer is set by a ring again.
 * - Epochs are only ever compared with the present one. So each sender has two bits: is what I rung, or owe a ring, this epoch? Arming
 *   clears them.
 * - Messages are one bit, `unseen`: nobody asks how many. What is urgent (touched) or can wait (told) differs if JS == 1 only.
 * - A death tells the hub; the progress thread hears of it any time later. Senders are alike, so they begin in order.
 * - An interrupt goes to thread 0, is taken any time later if that runs in user mode, and is withheld in a system call. Two rules:
 *   PARKED: interrupt; then load `parked`, a word of thread 0 (set, then poll, then sleep; cleared awake), and ring the bell if set.
 *   WORD: the word of attention that was loaded says whether thread 0 runs (running_ at arm): interrupt, else bell.
 *
 * PROMPT: no timer does anything and nobody is stuck who was rung: whatever fails then costs a timer's interval. Without it the timer
 * and the escalation have to save every thread that is stuck. The mutants, each of which must fail: see the #ifdefs, and run.sh. */

#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef JS
#define JS 2
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif
#ifndef COPIERS /* threads that make long copies */
#define COPIERS 1
#endif
#define EVENTFD 0
#define PARKED 1
#define WORD 2
#ifndef BELL
#define BELL EVENTFD
#endif
#define SAYS (JS == 1 || BELL == WORD) /* does it matter whether JavaScript runs? */
#define P JS                           /* the progress thread's place in the bell's line */

#if SENDERS == 1
#define EACH(x) x(0)
#define UNSEEN unseen[0]
#elif SENDERS == 2
#define EACH(x) x(0); x(1)
#define UNSEEN (unseen[0] || unseen[1])
#else
#define EACH(x) x(0); x(1); x(2)
#define UNSEEN (unseen[0] || unseen[1] || unseen[2])
#endif

/* native/core/guard.h */
#define FREE 0
#define HELD 1
#define PENDING 2
byte guard = FREE, owners;
/* native/doorbell/attention.h; it is armed from the start (Engine::init) */
bit asleep = 1, lingers, runs;
bit running, parked;
/* by sender: published and not seen; it saw somebody awake (a ghost, for the assertion); is what it owes, or rang, this epoch? */
bit unseen[SENDERS], trusted[SENDERS], due[SENDERS], rung[SENDERS];
byte started, ended;
/* the kernel's */
bit sleeps[JS + 1], edge[JS + 1], called, interrupt;

/* Whoever waits for ever waits for this. A state that nobody leaves without it is an invalid end state: a lost wake-up. */
#define over (ended == SENDERS && !UNSEEN)

/* Where a thread is. */
#define OUT 0
#define BED 1
#define SLEEPS 2
#define STUCK 3
#define SYSCALL 4
#define TRY 10
#define CALL 11
#define COPY 12
#define PEND 13
#define ENTERED 14
#define WAKE 15
#define RUNNING 16
#define ARM 17
#define LOOK 18
#define LEAVE 19
#define LOAD 20
#define native(at) (at >= TRY)

#define OWN owners++; assert(owners == 1)
#define NEW_EPOCH(s) due[s] = 0; rung[s] = 0
#define NOBODY_TRUSTED(s) assert(!trusted[s] || !asleep)
#define HANDED_ON(s) trusted[s] = 0
#define ROUNDS_OVER(at) at == LOOK && UNSEEN -> called = 1; EACH(HANDED_ON); at = LEAVE
#define SEEN_ALL if :: copies -> at = LEAVE :: !copies && SAYS -> at = RUNNING :: else -> at = ARM fi

/* One step of a thread, or of the handler, between entering the guard and having left it. */
inline step(at, ran, copies) {
  if
  :: at == TRY || at == CALL || at == COPY ->
     if
     :: guard == FREE ->
        guard = HELD; OWN;
        if
        :: at == CALL && asleep -> at = LEAVE
        :: at == CALL && !asleep -> SEEN_ALL
        :: else -> copies = (at == COPY); at = WAKE
        fi
     :: else -> at = PEND
     fi
  :: at == PEND ->
     if
#ifdef SPLIT_ENTER
     :: guard == FREE -> at = ENTERED
#else
     :: guard == FREE -> guard = PENDING; OWN; at = ENTERED
#endif
     :: else -> guard = guard | PENDING; at = OUT
     fi
  :: at == ENTERED ->
#ifdef SPLIT_ENTER
     OWN;
#endif
     guard = HELD; at = WAKE
  :: at == WAKE -> asleep = 0; if :: copies -> at = LEAVE :: else -> at = LOAD fi
  :: at >= LOAD ->
     unseen[at - LOAD] = 0; trusted[at - LOAD] = 0; at++;
     if :: at == LOAD + SENDERS -> SEEN_ALL :: else fi
  :: at == RUNNING -> ran = running; at = ARM
  :: at == ARM -> asleep = 1; lingers = ran && JS == 1; runs = ran; ran = 0; EACH(NEW_EPOCH); at = LOOK
#ifdef NO_LOOK
  :: at == LOOK -> at = LEAVE
#else
  :: at == LOOK -> if :: UNSEEN -> at = WAKE :: else -> at = LEAVE fi
#endif
  :: at == LEAVE ->
#ifdef NO_PENDING
     guard = HELD;
#endif
     if
     :: guard == HELD ->
        EACH(NOBODY_TRUSTED);
        owners--; guard = FREE;
        if :: copies -> copies = 0; at = CALL :: else -> at = OUT fi
     :: else -> guard = HELD; if :: copies -> at = LOAD :: else -> at = WAKE fi
     fi
  fi
}

/* Without a poll before it. RUNS_ASLEEP: before_poll does not take back that JavaScript runs (as a loop that came out of converse() did). */
#ifndef RUNS_ASLEEP
#define MAY_SLEEP (_pid != 0 || BELL != PARKED && !running)
#else
#define MAY_SLEEP (_pid != 0 || BELL != PARKED)
#endif

/* native/binding/waiting.cc, and any native call of JavaScript's. Thread 0 is the one that is interrupted, and that says it runs. */
active [JS] proctype Js() {
  byte at, hat;
  bit ran, copies, bed, hat_ran, no_copy;
  do
  :: d_step {
       native(at) && !hat ->
       if :: _pid == 0 && !bed -> parked = 0 :: else fi;
       step(at, ran, copies);
       if :: at == OUT && bed -> at = BED; bed = 0 :: else fi
     }
  :: d_step { !hat && ROUNDS_OVER(at) }
  /* JavaScript: calls, copies, polls; goes to sleep; or none of that ever again */
  :: d_step { at == OUT && !hat -> at = TRY; step(at, ran, copies) }
  :: d_step { at == OUT && !hat && guard == FREE -> at = CALL; step(at, ran, copies) }
  :: d_step { at == OUT && !hat && guard == FREE && _pid < COPIERS -> at = COPY; step(at, ran, copies) }
#if SAYS
  :: d_step { at == OUT && !hat && _pid == 0 && !running -> running = 1 }
  :: d_step { at == OUT && !hat && _pid == 0 && running -> running = 0; bed = 1; at = TRY }
#endif
#if BELL == PARKED && defined(PARK_WITHOUT_LOOK)
  :: d_step { at == OUT && !hat && _pid == 0 -> parked = 1; at = BED }
#elif BELL == PARKED
  :: d_step { at == OUT && !hat && _pid == 0 -> parked = 1; bed = 1; at = TRY }
#endif
  :: d_step { (at == BED || at == OUT && MAY_SLEEP) && !hat -> sleeps[_pid] = !edge[_pid]; at = SLEEPS }
#if !defined(PROMPT) || JS > 1
  :: d_step { at == OUT && !hat -> at = STUCK }
#endif
  :: d_step { at == BED && !hat -> if :: _pid == 0 -> parked = 0 :: else fi; at = OUT }
  :: d_step { at == SLEEPS && edge[_pid] -> edge[_pid] = 0; sleeps[_pid] = 0; at = TRY } /* on_bell */
#ifndef PROMPT
  :: d_step { at == SLEEPS && edge[_pid] -> edge[_pid] = 0; sleeps[_pid] = 0; at = STUCK }
#endif
#if BELL != EVENTFD
#ifndef PROMPT
  :: d_step { at == OUT && !hat && _pid == 0 -> at = SYSCALL }
#endif
  :: d_step { interrupt && _pid == 0 && !hat && at != SLEEPS && at != SYSCALL -> interrupt = 0; hat = TRY }
  :: d_step { native(hat) -> step(hat, hat_ran, no_copy) }
  :: d_step { ROUNDS_OVER(hat) }
#endif
  :: (at == STUCK || at == SLEEPS || at == SYSCALL) && !hat && over -> break
  od
}

/* native/binding/progress.cc */
active proctype Progress() {
  byte at = SLEEPS;
  bit ran, no_copy;
  do
  :: d_step { native(at) -> step(at, ran, no_copy); if :: at == OUT -> at = SLEEPS :: else fi }
  :: d_step { ROUNDS_OVER(at) }
  :: d_step {
       at == SLEEPS && (edge[P] || called) ->
       if :: SAYS && edge[P] -> running = 0 :: else fi;
       edge[P] = 0; called = 0; at = TRY
     }
  :: at == SLEEPS && over && !edge[P] && !called -> break
  od
}

/* One write to the eventfd. The progress thread is last and always comes back: whether it sleeps makes no difference. */
inline ring_bell() {
  i = 0;
  do
  :: i <= P && !sleeps[i] -> edge[i] = 1; i++
  :: i <= P && sleeps[i] -> edge[i] = 1; sleeps[i] = 0; break
  :: i > P -> break
  od;
  i = 0
}

/* Where a sender is. */
#define IDLE 0
#define SETTLE 1
#define OWES 2
#define IF_PARKED 3
#define RING_BELL 4
#define CHECK 5
#define ESCALATE 6
#define GONE 7

#ifdef LOOK_FIRST
#define PUBLISH(kind) BEGIN; late = 1; fresh = 1; urgent = kind; at = SETTLE
#else
#define PUBLISH(kind) BEGIN; unseen[s] = 1; fresh = 1; urgent = kind; at = SETTLE
#endif
#define BEGIN left--; if :: started == s -> started++ :: else fi
#define MAY_PUBLISH (at == IDLE || at == OWES && !fired) && left > 0 && !late && started >= s
#define FORGET left = 0; owed = 0; now = 0; timer = 0; fired = 0; says = 0; late = 0; urgent = 0; fresh = 0; NEW_EPOCH(s); \
  ended++; at = GONE
#ifdef PROMPT
#define START_TIMER skip
#else
#define START_TIMER timer = 1
#endif

proctype Sender(byte s) {
  byte left = MESSAGES, i, at;
  bit urgent, fresh, owed, now, timer, fired, kept, says, late;
  do
  :: d_step { MAY_PUBLISH -> PUBLISH(0) } /* shm.head.publish */
#if JS == 1
  :: d_step { MAY_PUBLISH -> PUBLISH(1) }
#endif
#ifdef LOOK_FIRST
  :: d_step { late && at != SETTLE -> unseen[s] = 1; late = 0 }
#endif
  :: d_step { at == IDLE && timer -> timer = 0; if :: owed -> fired = 1; now = 1; at = SETTLE :: else -> at = CHECK fi }
  :: d_step {
       at == SETTLE ->
       kept = owed && due[s];
       if
       :: !asleep || rung[s] || !(fresh || kept) ->
          if :: !asleep && unseen[s] -> trusted[s] = 1 :: else fi;
          owed = 0; now = 0; due[s] = 0;
          if :: fired -> at = CHECK :: else -> at = IDLE fi;
          fired = 0
       :: else ->
          owed = 1; due[s] = 1; now = urgent || (now && kept); says = (BELL == WORD) && runs;
          if
          :: now || !lingers -> at = OWES
          :: else -> START_TIMER; at = IDLE
          fi
       fi;
       fresh = 0; urgent = 0; kept = 0
     }
#ifndef LIVE
  :: d_step { at == OWES && !fired -> says = 0; at = SETTLE } /* in the code not for ever: the adaptive wait ends */
#endif
  :: d_step {
       at == OWES && !late ->
       rung[s] = due[s]; due[s] = 0; owed = 0; now = 0; fired = 0; START_TIMER; at = IDLE;
#if BELL == EVENTFD
       ring_bell()
#elif BELL == PARKED
       interrupt = 1; at = IF_PARKED
#elif defined(INTERRUPT_ONLY)
       interrupt = 1; says = 0
#else
       if :: says -> interrupt = 1 :: else -> ring_bell() fi;
       says = 0
#endif
     }
#if BELL == PARKED
  :: d_step { at == IF_PARKED -> if :: parked -> at = RING_BELL :: else -> at = IDLE fi }
  :: d_step { at == RING_BELL -> ring_bell(); at = IDLE }
#endif
  :: d_step { at == CHECK -> if :: asleep && rung[s] -> at = ESCALATE :: else -> at = IDLE fi }
#ifdef NO_ESCALATION
  :: d_step { at == ESCALATE -> at = IDLE }
#else
  :: d_step { at == ESCALATE -> called = 1; at = IDLE }
#endif
  :: d_step { at == IDLE && left == 0 && !timer && !late -> FORGET }
  /* It dies: anywhere, once it has begun. */
#ifdef NO_DEATH_NOTICE
  :: d_step { at != GONE && left < MESSAGES -> FORGET }
#else
  :: d_step { at != GONE && left < MESSAGES -> called = 1; FORGET }
#endif
  :: at == GONE -> break
  od
}

init { atomic { byte i; do :: i < SENDERS -> run Sender(i); i++ :: else -> break od } }

#ifdef LIVE
ltl seen { [] (unseen[0] -> <> !unseen[0]) }
#endif

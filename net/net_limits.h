/* net_limits — every quantity in net/ that a stranger influences, and every
 * deadline. */
#ifndef SHOAL_NET_LIMITS_H
#define SHOAL_NET_LIMITS_H

enum {
	/* ---- one connection ---- */
	/* Who asked for a torrent that is being woken: a slow disk, and less
	 * than libtorrent waits for a handshake's answer. */
	INCOMING_WAIT_MS = 8000,
	PEERIO_HANDSHAKE_MS = 10000, /* connect and handshake together */
	PEERIO_SILENCE_MS = 150000,  /* BEP 3: keep-alives every two minutes */
	PEERIO_KEEPALIVE_MS = 100000,
	PEERIO_STUCK_MS = 60000,
	PEERIO_MSG_MAX = 1 << 20,     /* a bitfield of 2^21 pieces is 256 KiB */
	PEERIO_BLOCK_MAX = 128 << 10, /* what we send or accept in one PIECE */
	PEERIO_READ_BYTES = 256 << 10, /* one readv */
	PEERIO_READ_SLOTS = 64,
	PEERIO_STAGE_BYTES = 64 << 10, /* behind it, for what is not expected */
	PEERIO_TURN_BYTES = 256 << 10, /* read in one turn: others wait */
	PEERIO_EXT_MAX = 256 << 10,    /* an EXTENDED message */
	PEERIO_OUT_MAX = 4 << 20, /* queued control bytes before we give up */
	PEERIO_NOTSENT_BYTES = 256 << 10, /* TCP_NOTSENT_LOWAT: what is beyond
					     it can still be taken back */
	EXT_REQQ_MAX = 1 << 16,

	/* ---- the listening port ---- */
	LISTENER_TURN = 64,	 /* connections accepted in one turn */
	LISTENER_REST_MS = 1000, /* when descriptors have run out */
	PROBE_HOSTS_MAX = 256,	 /* remembered for wrong info-hashes */
	PROBE_BURST = 16,	 /* of one host, then he is not heard … */
	PROBE_EVERY_MS = 30000,	 /* … but for one each */

	OFFENCE_HOSTS_MAX = 256, /* remembered for broken messages */
	OFFENCE_BURST = 4,	 /* of one host, then he is banned … */
	OFFENCE_BAN_MS = 600000, /* … for so long, doubling … */
	OFFENCE_BAN_MAX_MS = 14400000,
	OFFENCE_FORGET_MS = 1800000, /* … until he kept to the rules so long */

	/* ---- requests ---- */
	PEER_OPENING_MAX = 8 << 10, /* a set that goes with our handshake … */
	PEER_OPENING_REQUESTS = 4,  /* … and requests: some count each that
				       comes while they choke as an offence; */
	PEER_OPENING_MS = 100, /* after two round trips they are free again */
	PEER_REQQ = 500,       /* what we let others queue, and say so */
	PEER_REQUESTS_MAX = 2048, /* what we ever have out to one peer */
	PEER_INVALID_MAX = 300,	  /* senseless requests before we hang up */
	PEER_UPLOAD_QUEUE_BYTES = 512 << 10, /* in the socket queue, a peer */
	UPLOAD_RUN_BYTES = PEERIO_BLOCK_MAX, /* read at once for a peer … */
	UPLOAD_RUN_BLOCKS = 8,		     /* … of so many blocks */
	PEER_ALLOWED_FAST = 10,		     /* BEP 6's k */
	PEER_REQQ_DEFAULT = 250,	     /* theirs, when they do not say */
	PEER_UNASKED_MAX = 64, /* blocks without a reason before we hang up */
	PEER_HOLD_MS = 1000, /* a rejecting peer is left alone, doubling … */
	PEER_HOLD_MAX_MS = 30000,
	PEER_FIRST_BLOCK_US = 1000000, /* for its first block, and its delay */
	PEER_FORGET_MS = 20000,	 /* stalled so long: it has lost our requests */
	PEER_RTT_EVERY_MS = 100, /* a system call each */
	RECLAIM_HUNG_MS = 4000,	 /* an urgent piece of which nothing comes */
	RECLAIM_LOOK_MS = 500,	 /* keeps its memory for so long; how often
				    those who want some look for it */
	CUSTODY_FIRST = 1, /* pieces hashed at a time, of one unknown, … */
	CUSTODY_EARN = 8,  /* … one more for so many that were right */
	CUSTODY_HOLD_MS = 2000, /* for those who are suspect, to be cleared */
	CUSTODY_LOOK_MS = 20,	/* whether one may go, at the latest */

	/* ---- a torrent's peers ---- */
	SWARM_PEERS_MAX = 64, /* connected, a torrent */
	SWARM_CANDIDATES_MAX = 2000,
	SWARM_DIALS_MAX = 30,	   /* half-open, a torrent, and not late … */
	SWARM_DIAL_LATE_MS = 1000, /* … without a handshake so long … */
	SWARM_HALF_OPEN_MAX = 48,  /* … and the late ones too */
	SWARM_PATIENCE_MS = 3000, /* with who is of no use, others untried … */
	SWARM_CHOKED_MS = 30000,  /* … and with who only chokes us */
	SWARM_INCOMING_MAX = 32,  /* of SWARM_PEERS_MAX */
	INCOMING_HOST_MAX = 8, /* of one address, a torrent; as many silent */
	ENGINE_PEERS_MAX = 400,
	ENGINE_PENDING_MAX = 64, /* accepted, no handshake yet */
	SWARM_REDIAL_MS = 5000,	 /* first back-off, doubling … */
	SWARM_REDIAL_MAX_MS = 600000,
	SELF_VOTES = 8,		   /* networks that told us our address … */
	SELF_VOTES_NEEDED = 3,	   /* … and how many must agree */
	SWARM_CANDIDATE_TRIES = 8, /* in a row, then it is forgotten */
	SWARM_NAMED_MS = 1000,	   /* addresses that a person gave */
	SWARM_NAMED_MAX_MS = 5000,
	SWARM_NAMED_PEERS_MAX = 128, /* host names, a torrent */
	NET_BANS_MAX = 4096,
	ENGINE_DRAIN_MS = 2000, /* for jobs still hashing at the end */

	/* ---- dialling at strangers' word (dialpace.c) ---- */
	DIAL_HOSTS_MAX = 4096,
	DIAL_GOSSIP_HOST_BURST = 2, /* two a minute to one host: nobody is
				       flooded because a swarm was told lies */
	DIAL_GOSSIP_HOST_MS = 60000,
	DIAL_TOLD_HOST_BURST = 8,
	DIAL_TOLD_HOST_MS = 5000,
	DIAL_GOSSIP_BURST = 256, /* a magnet may live of the DHT alone */
	DIAL_GOSSIP_MS = 100,
	DIAL_TOLD_BURST = 512, /* all connections there may be, and failures */
	DIAL_TOLD_MS = 50,

	/* ---- peer exchange ---- */
	PEX_ADDED_MAX = 50,   /* BEP 11: in one message, told or taken */
	PEX_DROPPED_MAX = 50, /* BEP 11 */
	PEX_TOLD_MAX = 128,   /* remembered a peer: more than we ever have */
	PEX_HOST_MAX = 4,    /* ports of one host in a message: gossip is not to
				turn a swarm against somebody */
	PEX_SETTLE_MS = 250, /* those who come at once make one message */
	PEX_SAY_MS = 60000,  /* BEP 11: not more than one a minute */
	PEX_HEAR_MS = 45000, /* the same of others, whose clocks and lines
				are not so exact */
	PEX_EARLY_MAX = 8,   /* passed over, then the peer is ended */

	/* ---- hashes of v2 torrents (BEP 52; a span's length: core_limits.h)
	 */
	HASHGET_PEER_MAX = 32,	    /* out to one peer, late ones too … */
	HASHGET_OUT_MAX = 128,	    /* … and to all of a torrent, not late */
	HASHGET_JOBS_MAX = 1024,    /* spans wanted at a time, a torrent */
	HASHGET_REFUSED_MS = 10000, /* one who rejected is not asked again */
	HASHGET_REST_MS = 10000, /* what nobody gave is forgotten after that */
	HASHGET_PATIENCE_MS = 5000,  /* at most, whatever the peer's rate */
	HASHSERVE_QUEUE = 32,	     /* requests of a peer that wait */
	HASHSERVE_REFUSED_MAX = 300, /* rejects, then it is nonsense */
	HASHSERVE_RECENT =
		16, /* blocks last asked for: their leaves are owed */
	HASHSERVE_READ_BYTES = 1 << 20, /* of a piece, hashed at a time */
	/* What a peer may make us read and hash, a second; what a choked one
	 * may make us send counts as if it were so many times longer. */
	HASHSERVE_BPS = 32 << 20,
	HASHSERVE_CHOKED_COST = 128,
	HASHSERVE_OUT_BYTES = 512 << 10, /* queued to it: the rest waits */

	/* ---- the background ---- */
	GIVEWAY_MS = 1000,  /* it waits for who reads, after a read began */
	PIN_REST_MS = 5000, /* after a pinned piece got lost, doubling … */
	PIN_REST_MAX_MS = 600000,

	/* ---- metadata ---- */
	METAGET_PEER_REQUESTS = 4,
	METAGET_STALE_US = 2000000,
	METAGET_SERVE_QUEUE = 64,
	METAGET_GIVE_UP_US = 4000000, /* nothing came: the next candidate */
	METAGET_FORGET_US = 30000000, /* a request that is not answered */
	METAGET_PEERS_MAX = 256,
	METAGET_SIZES_MAX = 16, /* sizes that failed, remembered */

	/* ---- trackers ---- */
	TRACKER_TIMEOUT_MS = 20000,
	TRACKER_STOP_MS = 1500,
	TRACKER_BODY_MAX = 1 << 20,
	TRACKER_PEERS_MAX = 500,
	TRACKER_INTERVAL_MIN_S = 60,
	TRACKER_INTERVAL_MAX_S = 7200,
	TRACKER_INTERVAL_S = 1800,
	TRACKER_EARLY_S = 15,	 /* want_more may not come closer than this, nor
				    than the tracker's min interval */
	TRACKER_RETRY_MS = 5000, /* first back-off, doubling … */
	TRACKER_RETRY_MAX_MS = 1800000,
	TRACKER_WHY_BYTES = 160,
	TRACKER_ID_BYTES =
		256, /* `tracker id`; a longer one is not sent back */
	/* 500 peers of the dictionary model have seven or nine tokens each. */
	TRACKER_TOKENS_MAX = 16384,
	TRACKER_REFUSED_RETRY_MS = 60000, /* it answered: do not hammer it */
	UDP_TRACKER_RETRIES = 4, /* BEP 15 says 8, after over two hours */
	UDP_TRACKER_FIRST_MS = 2000,
	UDP_TRACKER_CONN_ID_S = 60,
	UDP_TRACKER_CONN_IDS = 64,   /* remembered at a time */
	UDP_TRACKER_GRACE_MS = 3000, /* for a slower second address family */
	UDP_TRACKER_BATCH = 64,	     /* datagrams taken in one go */

	ENGINE_PORT_DRAWS = 8, /* for a number free for TCP and UDP */

	/* ---- the UDP port, the DHT (mainline.c) ---- */
	DATAGRAM_MAX = 1472,	/* sent: an Ethernet frame's */
	DATAGRAM_IN_MAX = 2048, /* longer is nobody's */
	DATAGRAMS_BATCH = 64,	/* in one system call */
	DATAGRAMS_TURN = 512,	/* handed on in one turn */
	DATAGRAMS_SOCKET_BYTES = 1 << 20,
	MAINLINE_BOOT_MS = 4000, /* until the names are asked, doubling … */
	MAINLINE_BOOT_MAX_MS = 600000,
	MAINLINE_SMALL_MS = 2000, /* since the first contact: that is all */
	MAINLINE_SAVE_MS = 300000,
	MAINLINE_ANSWER_BPS = 8000, /* as libtorrent's nodes: 30 a second */
	MAINLINE_MARK_MS = 10000,   /* rates are of one to two such times */
	MAINLINE_NAMES_MAX = 64,
	SEEKS_HURRIED_MAX = 32, /* searches at a time, somebody waits … */
	SEEKS_CALM_MAX = 4,	/* … or nobody does */
	SEEK_CALM_PER_S = 40,	/* messages a second for all of the latter */
	SEEK_HURRY_PER_S = 25,	/* … and for all of the former, in the mean of
				   so many: a minute's */
	SEEK_HURRY_BURST = 1500,
	SEEK_EVERY_MS = 1200000, /* announced again: peers are kept for 30 min
				  */
	SEEK_THIN_MS = 10000,	 /* … or after so long, doubling, when too few
				    nodes took it; so many times, … */
	SEEK_THINS = 7,
	SEEK_GROWN_MIN = 4, /* … and when we know this many nodes, and twice
			       that, and so on, up to these */
	SEEK_GROWN_MAX = 64,
	SEEK_HURRY_MS = 5000, /* looked for again, doubling … */
	SEEK_HURRY_MAX_MS = 60000,
	TORRENT_FRUITLESS = 2, /* searches for one that was only named */
	TORRENT_BAD_MAX = 8,  /* pieces of which is known how often they lied */
	SEEK_RETRY_MS = 1000, /* when a search could not begin */
	ERRANDS_MAX = 64,     /* items got or put at a time */
	ERRAND_DEADLINE_MAX_MS = 120000,
	SIGNPOSTS_MAX = 128,	    /* keys that are known, remembered … */
	SIGNPOSTS_STRANGE_MAX = 32, /* … and looked for, not known */
	SIGNPOST_SAVED_TOKENS = 4096,
	SIGNPOST_AGAIN_MS = 4000, /* a second try, if it is so soon */
	SIGNPOST_ENOUGH = 4, /* answers that count, though others are silent */
	SIGNPOST_LOOK_MS = 12000,
	SIGNPOST_OFFER_MS = 20000,
	SIGNPOST_STAND_MS = 3000,   /* an answer that was no */
	SIGNPOST_LINGER_MS = 30000, /* one that leads nowhere */
	SIGNPOST_FRESH_MS = 30000,  /* no look at a use */
	SIGNPOST_POLL_MS = 300000,  /* looked at again, while it is used … */
	SIGNPOST_USED_MS = 1800000, /* … which is so long after a use, … */
	SIGNPOST_IDLE_MS = 3600000, /* … and else */
	SIGNPOST_RETRY_MS = 30000,  /* kept, and not known yet */
	SIGNPOST_WAKE_MS = 30000,   /* after the store gave it back */
	SIGNPOST_PUT_MS = 3600000,  /* BEP 44: once an hour */
	SIGNPOST_MEND_MS = 120000,  /* sooner, when nodes have it not */
	SIGNPOST_SAVE_MS = 1000,    /* changes are gathered for so long */
	SIGNPOST_KEEP_S = 30 * 86400, /* unused, then forgotten */

	/* ---- HTTP ---- */
	HTTP_REDIRECTS_MAX = 5,
	HTTP_HEADERS_MAX = 32 << 10, /* of one answer */
	HTTP_CONNECTIONS_MAX = 64,
	HTTP_KEPT_MAX = 16,	     /* of them, web seeds' that are idle */
	HTTP_REFUSAL_MAX = 64,	     /* bytes kept of what explains a status */
	HTTP_WAIT_MAX_S = 3600,	     /* a server's wish to be left alone */
	HTTP_RANGE_READ = 256 << 10, /* handed on at a time */

	/* ---- web seeds ---- */
	WEBSEEDS_MAX = 16,	    /* a torrent */
	WEBSEED_REQUESTS_MAX = 6,   /* at a time, each a connection; … */
	WEBSEED_RANGES_MAX = 4,	    /* … of a server of files */
	WEBSEED_RUN_MAX = 16 << 20, /* bytes of one request */
	WEBSEED_CONNECT_MS = 10000,
	WEBSEED_SILENCE_S = 10, /* below WEBSEED_MIN_BPS for so long */
	WEBSEED_MIN_BPS = 4096,
	WEBSEED_RETRY_MS = 1000, /* first back-off, doubling … */
	WEBSEED_RETRY_MAX_MS = 300000,
	WEBSEED_WHY_BYTES = 160,
};

#endif

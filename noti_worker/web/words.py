"""What the pages say, in the languages that there are; whoever reads none of them reads English."""

import re
from dataclasses import dataclass

from noti_worker.domain.language import languages

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9-]+)?)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
_MOST_RANGES = 20


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; `{category}` stands for the name of what is left."""

    ask: str  # headings end without a full stop
    ask_text: str
    leave: str  # the button
    left: str
    left_text: str
    mistake: str
    stay: str  # the button
    stayed: str
    stayed_text: str
    kept: str
    kept_text: str
    unknown: str
    unknown_text: str
    later: str
    later_text: str


ENGLISH = "en"

LANGUAGES = {
    ENGLISH: Words(
        ask="Unsubscribe?",
        ask_text="You will then get no more messages about {category}.",
        leave="Unsubscribe",
        left="You are unsubscribed",
        left_text="You will get no more messages about {category}. One that is already on its way may still arrive.",
        mistake="Was this a mistake?",
        stay="Keep sending me these messages",
        stayed="You are subscribed again",
        stayed_text="You will go on getting messages about {category}.",
        kept="This cannot be undone here",
        kept_text="Nothing was changed. Please write to the sender of the message.",
        unknown="This link does not work",
        unknown_text="It is incomplete or no longer valid, and nothing was changed. Please open the whole link in the"
        " message again, or write to its sender.",
        later="Please try again in a minute",
        later_text="Nothing was changed yet.",
    ),
    "de": Words(
        ask="Abmelden?",
        ask_text="Sie erhalten dann keine Nachrichten mehr zu {category}.",
        leave="Abmelden",
        left="Sie sind abgemeldet",
        left_text="Sie erhalten keine Nachrichten mehr zu {category}. Eine, die schon unterwegs ist, kann noch"
        " ankommen.",
        mistake="War das ein Versehen?",
        stay="Diese Nachrichten weiter erhalten",
        stayed="Sie sind wieder angemeldet",
        stayed_text="Sie erhalten weiterhin Nachrichten zu {category}.",
        kept="Das lässt sich hier nicht rückgängig machen",
        kept_text="Es wurde nichts geändert. Bitte schreiben Sie dem Absender der Nachricht.",
        unknown="Dieser Link funktioniert nicht",
        unknown_text="Er ist unvollständig oder nicht mehr gültig; es wurde nichts geändert. Bitte öffnen Sie den"
        " ganzen Link aus der Nachricht noch einmal, oder schreiben Sie dem Absender.",
        later="Bitte versuchen Sie es in einer Minute noch einmal",
        later_text="Es wurde noch nichts geändert.",
    ),
    "fr": Words(
        ask="Se désabonner ?",
        ask_text="Vous ne recevrez plus de messages concernant {category}.",
        leave="Se désabonner",
        left="Vous êtes désabonné(e)",
        left_text="Vous ne recevrez plus de messages concernant {category}. Un message déjà envoyé peut encore"
        " arriver.",
        mistake="Était-ce une erreur ?",
        stay="Continuer à recevoir ces messages",
        stayed="Vous êtes de nouveau abonné(e)",
        stayed_text="Vous continuerez à recevoir les messages concernant {category}.",
        kept="Impossible d’annuler ici",
        kept_text="Rien n’a été modifié. Veuillez écrire à l’expéditeur du message.",
        unknown="Ce lien ne fonctionne pas",
        unknown_text="Il est incomplet ou n’est plus valable, et rien n’a été modifié. Veuillez ouvrir de nouveau le"
        " lien entier depuis le message, ou écrire à l’expéditeur.",
        later="Veuillez réessayer dans une minute",
        later_text="Rien n’a encore été modifié.",
    ),
    "es": Words(
        ask="¿Darse de baja?",
        ask_text="Dejará de recibir mensajes sobre {category}.",
        leave="Darme de baja",
        left="Se ha dado de baja",
        left_text="No recibirá más mensajes sobre {category}. Es posible que aún llegue alguno ya enviado.",
        mistake="¿Ha sido un error?",
        stay="Seguir recibiendo estos mensajes",
        stayed="Vuelve a estar suscrito",
        stayed_text="Seguirá recibiendo mensajes sobre {category}.",
        kept="Aquí no se puede deshacer",
        kept_text="No se ha cambiado nada. Escriba al remitente del mensaje.",
        unknown="Este enlace no funciona",
        unknown_text="Está incompleto o ya no es válido, y no se ha cambiado nada. Abra de nuevo el enlace completo del"
        " mensaje o escriba al remitente.",
        later="Inténtelo de nuevo en un minuto",
        later_text="Aún no se ha cambiado nada.",
    ),
    "it": Words(
        ask="Annullare l’iscrizione?",
        ask_text="Non riceverai più messaggi su {category}.",
        leave="Annulla l’iscrizione",
        left="Iscrizione annullata",
        left_text="Non riceverai più messaggi su {category}. Un messaggio già inviato potrebbe ancora arrivare.",
        mistake="È stato un errore?",
        stay="Continua a ricevere questi messaggi",
        stayed="Iscrizione ripristinata",
        stayed_text="Continuerai a ricevere messaggi su {category}.",
        kept="Qui non si può annullare",
        kept_text="Non è stato modificato nulla. Scrivi al mittente del messaggio.",
        unknown="Questo link non funziona",
        unknown_text="È incompleto o non più valido, e non è stato modificato nulla. Apri di nuovo il link intero dal"
        " messaggio oppure scrivi al mittente.",
        later="Riprova tra un minuto",
        later_text="Non è stato ancora modificato nulla.",
    ),
    "nl": Words(
        ask="Afmelden?",
        ask_text="U ontvangt dan geen berichten meer over {category}.",
        leave="Afmelden",
        left="U bent afgemeld",
        left_text="U ontvangt geen berichten meer over {category}. Een bericht dat al onderweg is, kan nog aankomen.",
        mistake="Was dit een vergissing?",
        stay="Deze berichten blijven ontvangen",
        stayed="U bent weer aangemeld",
        stayed_text="U blijft berichten over {category} ontvangen.",
        kept="Dit kan hier niet ongedaan worden gemaakt",
        kept_text="Er is niets gewijzigd. Schrijf naar de afzender van het bericht.",
        unknown="Deze link werkt niet",
        unknown_text="Hij is onvolledig of niet meer geldig, en er is niets gewijzigd. Open de hele link in het bericht"
        " nog een keer, of schrijf naar de afzender.",
        later="Probeer het over een minuut opnieuw",
        later_text="Er is nog niets gewijzigd.",
    ),
    "pt": Words(
        ask="Cancelar a subscrição?",
        ask_text="Deixará de receber mensagens sobre {category}.",
        leave="Cancelar a subscrição",
        left="A subscrição foi cancelada",
        left_text="Não receberá mais mensagens sobre {category}. Uma mensagem já enviada ainda pode chegar.",
        mistake="Foi um engano?",
        stay="Continuar a receber estas mensagens",
        stayed="A subscrição foi retomada",
        stayed_text="Continuará a receber mensagens sobre {category}.",
        kept="Não é possível desfazer aqui",
        kept_text="Nada foi alterado. Escreva ao remetente da mensagem.",
        unknown="Este link não funciona",
        unknown_text="Está incompleto ou já não é válido, e nada foi alterado. Abra de novo o link completo da mensagem"
        " ou escreva ao remetente.",
        later="Tente novamente dentro de um minuto",
        later_text="Ainda nada foi alterado.",
    ),
    "pt-BR": Words(
        ask="Cancelar a inscrição?",
        ask_text="Você deixará de receber mensagens sobre {category}.",
        leave="Cancelar inscrição",
        left="Sua inscrição foi cancelada",
        left_text="Você não receberá mais mensagens sobre {category}. Uma mensagem já enviada ainda pode chegar.",
        mistake="Foi um engano?",
        stay="Continuar recebendo estas mensagens",
        stayed="Sua inscrição foi reativada",
        stayed_text="Você continuará recebendo mensagens sobre {category}.",
        kept="Não é possível desfazer aqui",
        kept_text="Nada foi alterado. Escreva para o remetente da mensagem.",
        unknown="Este link não funciona",
        unknown_text="Ele está incompleto ou não é mais válido, e nada foi alterado. Abra novamente o link completo da"
        " mensagem ou escreva para o remetente.",
        later="Tente novamente em um minuto",
        later_text="Nada foi alterado ainda.",
    ),
    "pl": Words(
        ask="Zrezygnować z wiadomości?",
        ask_text="Nie będziesz już otrzymywać wiadomości na temat: {category}.",
        leave="Zrezygnuj",
        left="Rezygnacja przyjęta",
        left_text="Nie będziesz już otrzymywać wiadomości na temat: {category}. Wiadomość, która jest już w drodze,"
        " może jeszcze dotrzeć.",
        mistake="To była pomyłka?",
        stay="Chcę nadal otrzymywać te wiadomości",
        stayed="Rezygnacja cofnięta",
        stayed_text="Nadal będziesz otrzymywać wiadomości na temat: {category}.",
        kept="Tutaj nie można tego cofnąć",
        kept_text="Nic nie zostało zmienione. Napisz do nadawcy wiadomości.",
        unknown="Ten link nie działa",
        unknown_text="Jest niepełny lub już nieważny i nic nie zostało zmienione. Otwórz ponownie cały link z"
        " wiadomości albo napisz do nadawcy.",
        later="Spróbuj ponownie za minutę",
        later_text="Nic jeszcze nie zostało zmienione.",
    ),
    "ar": Words(
        ask="إلغاء الاشتراك؟",
        ask_text="لن تصلك بعد ذلك رسائل حول {category}.",
        leave="إلغاء الاشتراك",
        left="تم إلغاء اشتراكك",
        left_text="لن تصلك رسائل أخرى حول {category}. قد تصل رسالة أُرسلت من قبل.",
        mistake="هل كان ذلك خطأ؟",
        stay="أريد الاستمرار في تلقي هذه الرسائل",
        stayed="تمت إعادة اشتراكك",
        stayed_text="ستستمر في تلقي الرسائل حول {category}.",
        kept="لا يمكن التراجع عن ذلك هنا",
        kept_text="لم يتغير شيء. يرجى الكتابة إلى مرسل الرسالة.",
        unknown="هذا الرابط لا يعمل",
        unknown_text="الرابط غير كامل أو لم يعد صالحًا، ولم يتغير شيء. يرجى فتح الرابط كاملًا من الرسالة مرة"
        " أخرى، أو الكتابة إلى مرسلها.",
        later="يرجى المحاولة مرة أخرى بعد دقيقة",
        later_text="لم يتغير شيء بعد.",
    ),
    "hi": Words(
        ask="सदस्यता रद्द करें?",
        ask_text="इसके बाद आपको {category} के बारे में संदेश नहीं मिलेंगे।",
        leave="सदस्यता रद्द करें",
        left="आपकी सदस्यता रद्द हो गई है",
        left_text="अब आपको {category} के बारे में संदेश नहीं मिलेंगे। जो संदेश पहले ही भेजा जा चुका है, वह अभी भी आ सकता है।",
        mistake="क्या यह गलती से हुआ?",
        stay="ये संदेश भेजते रहें",
        stayed="आपकी सदस्यता फिर से चालू हो गई है",
        stayed_text="आपको {category} के बारे में संदेश मिलते रहेंगे।",
        kept="इसे यहाँ वापस नहीं लिया जा सकता",
        kept_text="कुछ भी बदला नहीं गया। कृपया संदेश भेजने वाले को लिखें।",
        unknown="यह लिंक काम नहीं करता",
        unknown_text="यह अधूरा है या अब मान्य नहीं है, और कुछ भी बदला नहीं गया। कृपया संदेश का पूरा लिंक फिर से खोलें, या उसे"
        " भेजने वाले को लिखें।",
        later="कृपया एक मिनट बाद फिर कोशिश करें",
        later_text="अभी तक कुछ भी बदला नहीं गया है।",
    ),
    "ja": Words(
        ask="配信を停止しますか？",
        ask_text="今後、{category}に関するメッセージは届かなくなります。",
        leave="配信を停止する",
        left="配信を停止しました",
        left_text="今後、{category}に関するメッセージは届きません。すでに送信されたメッセージは届くことがあります。",
        mistake="お間違いでしたか？",
        stay="引き続きメッセージを受け取る",
        stayed="配信を再開しました",
        stayed_text="今後も{category}に関するメッセージが届きます。",
        kept="ここでは元に戻せません",
        kept_text="何も変更されていません。メッセージの送信者にご連絡ください。",
        unknown="このリンクは使用できません",
        unknown_text="リンクが不完全であるか、有効ではなくなっています。何も変更されていません。メッセージ内のリンク全体をもう一度開くか、"
        "送信者にご連絡ください。",
        later="1分後にもう一度お試しください",
        later_text="まだ何も変更されていません。",
    ),
}


def language_of(locale: str, accepted: str) -> str:
    """The language of `locale` (such as de_AT), else the first of an Accept-Language header that there is.

    One that is not there as it is asked for has its kin: Austrian is German, and pt-BR comes before pt.
    """
    asked = (re.split("[.@]", locale, maxsplit=1)[0], *_accepted(accepted))
    wanted = (language for tag in asked for language in languages(tag))
    return next((language for language in wanted if language in LANGUAGES), ENGLISH)


def _accepted(header: str) -> list[str]:
    """The language tags of an Accept-Language header (RFC 9110 section 12.5.4), the most wanted first."""
    ranges = [match for part in header.split(",")[:_MOST_RANGES] if (match := _RANGE.fullmatch(part))]
    wanted = sorted(((float(match[2] or 1), match[1]) for match in ranges), key=lambda one: -one[0])
    return [language for weight, language in wanted if weight > 0]
